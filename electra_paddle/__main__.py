import sys

from electra_paddle.cli import main

sys.exit(main())
