"""Parts that only reading comprehension needs: question files, windows, the reference's answers, the metric."""
