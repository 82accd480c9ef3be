"""The machine itself: one square matrix product of Paddle after another, with the same settings as ours."""

import json
import sys

from turns import Turns

from electra_paddle import runtime

settings = json.loads(sys.argv[1])
paddle = runtime.start()
size, dtype = settings["size"], {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[settings["precision"]]
one, other = paddle.rand([size, size]).astype(dtype), paddle.rand([size, size]).astype(dtype)
paddle.matmul(one, other)
for _ in Turns():
    for _ in range(settings["repeats"]):
        paddle.matmul(one, other)
    if paddle.device.get_device() != "cpu":
        paddle.device.cuda.synchronize()
runtime.leave()
