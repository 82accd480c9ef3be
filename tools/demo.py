from electra_paddle.cli import script

if __name__ == "__main__":
    script("demo")
