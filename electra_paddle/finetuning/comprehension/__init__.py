"""What only reading comprehension needs: files of questions, windows, the reference's answers, the metric."""
