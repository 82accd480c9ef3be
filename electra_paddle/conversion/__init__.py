"""Networks from and for other frameworks: TensorFlow and Hugging Face."""
