"""The machine and the processes: CPU set-up, seeds, fleet. The only importer of paddle.distributed.

Nothing here imports Paddle before `start` is called.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import inspect
import io
import os
import re
import signal
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from electra_paddle.cuda_code import CudaCode, read_library
from electra_paddle.errors import ConfigError
from electra_paddle.kernels import kernels
from electra_paddle.shared_room import SharedRoom, make_file

if TYPE_CHECKING:
    from paddle import Tensor
    from paddle.nn import Layer


DTYPES: dict[str, Literal["float32", "bfloat16", "float16"]] = {
    "fp32": "float32",
    "tf32": "float32",
    "bf16": "bfloat16",
    "bf16_o2": "bfloat16",
    "fp16": "float16",
}  # Paddle's names of the precisions
MASTER_WEIGHTS = ("bf16_o2",)  # precisions in which the network's weights are copies of those in float32
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}  # what the math library's fastest path needs
MATH_LIBRARY = "MKL_DEBUG_CPU_TYPE"  # environment variable
LAST_SECONDS = 600  # for the update and the checkpoint with which a process ends whose launcher has died
OTHER_BUILD = (
    "install a build of Paddle for this card, see docs/gpu.md, or compute on the CPU with CUDA_VISIBLE_DEVICES=''"
)
DETERMINISTIC = {
    "FLAGS_cudnn_deterministic": "1",  # of the fused attention, too
    "FLAGS_embedding_deterministic": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}  # the environment in which a GPU's results do not depend on which of its threads is first
FAST_BF16 = "amx_bf16, or avx512_bf16 on AMD"  # what products in bfloat16 need to be faster than in float32


def rank() -> int:
    """This process's number among all of the job, 0 outside of a launcher."""
    return int(os.environ.get("PADDLE_TRAINER_ID", 0))


def num_processes() -> int:
    """Processes of the job, on all nodes."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", 1))


def job_name() -> str:
    """The same in all processes of a job, and in no other job on this network; "" where there is only one process."""
    return os.environ.get("PADDLE_TRAINER_ENDPOINTS", "")


def is_main() -> bool:
    """Whether this process writes files and progress."""
    return rank() == 0


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_cpu() -> None:
    """Settings that must stand in the environment before Paddle is imported; the user's own win.

    Paddle sets one thread unless told otherwise, links a math library that is slow on AMD processors unless
    told otherwise, and leaves oneDNN unused.
    """
    if "paddle" in sys.modules:
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(share_of_cores()))
    os.environ.setdefault("FLAGS_use_mkldnn", "1")
    prepare_math_library()


def ignore_noise() -> None:
    """From now on, no warnings of the modules that Paddle and PaddleNLP import, which nobody can do anything about."""
    for told in ("Setuptools is replacing distutils", "No ccache found"):
        warnings.filterwarnings("ignore", told)


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Context to import Paddle in, without what it says of threads, which `prepare_cpu` has set."""
    held = io.StringIO()
    try:
        with contextlib.redirect_stderr(held):
            yield
    finally:
        sys.stderr.write("".join(line for line in held.getvalue().splitlines(True) if "OMP_NUM_THREADS" not in line))


def prepare_math_library() -> None:
    """Let MKL use the whole of an AMD processor; it asks the environment at its first product, and never again."""
    setting = math_library_setting()
    if setting:
        os.environ.setdefault(MATH_LIBRARY, setting)


def math_library_setting() -> str | None:
    """What the variable MATH_LIBRARY should say on this processor: 7 for AVX-512, 5 for AVX2; None for nothing."""
    processor = cpu_description()
    if "AuthenticAMD" not in processor:
        return None
    return "7" if AVX512.issubset(processor.split()) else "5"


def share_of_cores() -> int:
    """Cores for each of the job's processes on this machine."""
    return max(1, num_cores() // int(os.environ.get("PADDLE_LOCAL_SIZE", 1)))


def num_threads() -> int:
    """Threads for the matrix products of this process: the user's OMP_NUM_THREADS, else its share of the cores.

    Paddle sets the variable to 1 when it is imported without; what the user set, the process was started with.
    """
    value, path = os.environ.get("OMP_NUM_THREADS", ""), Path("/proc/self/environ")
    is_paddles = value == "1" and path.exists() and b"\0OMP_NUM_THREADS=" not in b"\0" + path.read_bytes()
    return max(1, int(value)) if value.isdigit() and not is_paddles else share_of_cores()


@contextlib.contextmanager
def shared_cores(num_workers: int) -> Iterator[None]:
    """Context in which several threads compute matrix products, each on its share of the cores; afterwards they use
    all.

    That is for processes that imported Paddle before `prepare_cpu` could be called, as those with a PaddleHub module.
    """
    import paddle

    paddle.base.core.set_num_threads(max(1, num_threads() // num_workers))
    try:
        yield
    finally:
        paddle.base.core.set_num_threads(num_threads())


@functools.cache
def cpu_description() -> str:
    """The kernel's description of the first processor; empty if it gives none."""
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n\n")[0] if path.exists() else ""


def processor_name() -> str:
    """The first processor's name as the kernel gives it, or "unknown"."""
    names = re.findall(r"^model name\s*: (.+)", cpu_description(), re.MULTILINE)
    return names[0] if names else "unknown"


def has_fast_bf16() -> bool:
    """Whether products of matrices are faster in bfloat16 than in float32, see FAST_BF16.

    On an Intel processor that was told to leave AMX out, so with AVX-512's bfloat16 alone, oneDNN was slower than in
    float32; without either it is much slower.
    """
    words = set(cpu_description().split())
    return "amx_bf16" in words or {"avx512_bf16", "AuthenticAMD"} <= words


def keep_freed_memory() -> None:
    """Let the C library reuse memory of arrays rather than give it back and ask for it again each time.

    Where arrays of the same sizes come and go, the page faults cost a third of the time, and more when several
    processes have them at once. Other C libraries than glibc are left as they are.
    """
    set_malloc(mmap_threshold=32 << 20, trim_threshold=128 << 20)


def set_malloc(**parameters: int) -> None:
    """Set byte counts by which the C library manages memory, see mallopt(3); where there is none, nothing happens."""
    numbers = {"trim_threshold": -1, "mmap_threshold": -3}
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in parameters.items():
            mallopt(numbers[name], value)


def start(is_deterministic: bool = False) -> ModuleType:
    """Import Paddle and, in a job of several processes, start fleet.

    Args:
        is_deterministic: whether a GPU is to compute the same each time, to the bit, which takes longer; as a CPU
            does anyway.

    Raises:
        ConfigError: this process's GPU is one that this build of Paddle has no code for.
    """
    prepare_cpu()
    if is_deterministic:
        os.environ.update(DETERMINISTIC)
    ignore_noise()
    with quiet_import():
        import paddle

    if not is_cpu():
        allow_tf32(False)
        if is_deterministic:  # Paddle looks at the environment only when it is imported
            paddle.set_flags({name: int(value) for name, value in DETERMINISTIC.items() if name.startswith("FLAGS_")})
    if is_cpu():
        # Copying a transposed array is fast, reading a view of it is not.
        paddle.set_flags({"FLAGS_use_stride_kernel": False})
        # Left to itself the threshold grows, and large tensors leave gaps among small ones that nothing fills.
        set_malloc(mmap_threshold=4 << 20)
    check_device(paddle.device.get_device())
    if num_processes() > 1:
        from paddle.distributed import fleet

        end_with_launcher()
        fleet.init(is_collective=True)
    return paddle


def check_device(device: str) -> None:
    """Refuse a GPU that this build of Paddle has no code for: the first kernel would fail without saying so.

    Args:
        device: Paddle's name of it, such as gpu:0; others than GPUs pass.

    Raises:
        ConfigError: there is no code for it.
    """
    if not device.startswith("gpu"):
        return
    import paddle

    number = int(device.partition(":")[2] or 0)
    check_card(
        f"{device} ({paddle.device.cuda.get_device_name(number)})",
        paddle.device.cuda.get_device_capability(number),
        cuda_code(),
    )


def check_card(card: str, capability: tuple[int, int], code: CudaCode | None) -> None:
    """Refuse a card that a build has no code for.

    Args:
        card: its name, for the message.
        capability: its compute capability, (major, minor).
        code: what the build has; None if that is not known, then the card passes.

    Raises:
        ConfigError: it has none for this card.
    """
    if code and not code.runs_on(capability):
        major, minor = capability
        raise ConfigError(
            card,
            f"compute capability {major}.{minor}, for which this build of Paddle has no code",
            f"one of {code}",
            OTHER_BUILD,
        )


@functools.cache
def cuda_code() -> CudaCode | None:
    """The code for GPUs in this build of Paddle; None where it has none or that cannot be found."""
    import paddle

    if hasattr(paddle.version, "cuda_archs"):
        architectures = tuple(sorted(paddle.version.cuda_archs()))
        return CudaCode(architectures) if architectures else None
    return read_library(Path(paddle.base.__file__).with_name("libpaddle.so"))  # Paddle 2.6 does not say


@functools.cache
def end_with_launcher() -> None:
    """From now on this process is asked to end (SIGTERM) within seconds of its launcher's death.

    The launcher ends its processes when it is asked to end itself; killed, it leaves them training on.
    """
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        print(f"the launcher (process {launcher}) has died: process {os.getpid()} ends", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_SECONDS)
        os._exit(128 + signal.SIGTERM)  # it waits for a peer that is gone

    threading.Thread(target=watch, daemon=True).start()


def seed_dropout(*numbers: int) -> None:
    """Fix this process's dropout by numbers such as seed, update and part, so that a resumed run repeats it."""
    import paddle

    paddle.seed(zlib.crc32("/".join(map(str, (*numbers, rank()))).encode()))


def distribute(model: Layer, recomputes: bool = False) -> Layer:
    """The model as fleet trains it, see `averaged_gradients`.

    Args:
        recomputes: whether layers of it went through `recompute`.
    """
    if num_processes() == 1 or is_cpu():  # Paddle 3.3's fleet refuses a single process
        return model
    from paddle.distributed import fleet

    model = fleet.distributed_model(model)
    model.recomputes = recomputes
    return model


@contextlib.contextmanager
def averaged_gradients(model: Layer, is_last: bool = True) -> Iterator[None]:
    """Context of the backward passes of an update: the last one leaves gradients that are averaged over the processes.

    On GPUs fleet's hooks average while the pass goes on, but not where layers are recomputed, with which they do not
    work. On CPUs, whose cores are all busy, that would save no time and cost a copy of all gradients.

    Args:
        model: as `distribute` returned it.
        is_last: whether no other pass of this update follows.
    """
    if num_processes() == 1 or (not is_cpu() and is_last and not model.recomputes):
        yield
    else:
        with contextlib.nullcontext() if is_cpu() else model.no_sync():
            yield
        if is_last:
            average_in_buckets([parameter.grad for parameter in model.parameters() if parameter.grad is not None])


def average_in_buckets(tensors: Sequence[Tensor], bucket_bytes: int = 4 << 20) -> None:
    """Replace tensors by their means over the processes: in shared memory, or some megabytes in a message."""
    room = shared_room() if is_cpu() else None
    if room is not None:
        from electra_paddle.kernels.memory import values

        room.average([values(tensor).reshape(-1) for tensor in tensors])
        return
    bucket: list[Tensor] = []
    size = 0
    for number, tensor in enumerate(tensors, 1):
        bucket.append(tensor)
        size += int(tensor.size) * tensor.element_size()
        if size >= bucket_bytes or number == len(tensors):
            average(bucket)
            bucket, size = [], 0


@functools.cache
def shared_room() -> SharedRoom | None:
    """Memory that the job's processes share; None where they are on several machines, or it cannot be had.

    Every process must call it at the same step.
    """
    if int(os.environ.get("PADDLE_LOCAL_SIZE", 0)) != num_processes():
        return None
    file = gather(make_file(num_processes()) if is_main() else None)[0]
    room = None
    with contextlib.suppress(OSError, TypeError):  # no file, or this process is in another container
        room = SharedRoom(file, rank(), num_processes(), barrier)
    has_none = is_any(room is None)
    if is_main() and file:
        Path(file).unlink()  # it lives on as long as a process has it mapped
    return None if has_none else room


def recompute(layers: Iterable[Layer]) -> None:
    """Let layers keep nothing but their input for the backward pass, which then runs their forward pass again."""
    from paddle.distributed.fleet.utils import recompute

    def run(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        bound = inspect.signature(forward).bind(*arguments, **named)
        bound.apply_defaults()
        return recompute(forward, *bound.args)  # Paddle 2.6 takes no named ones

    for layer in layers:
        setattr(layer, "forward", functools.partial(run, layer.forward))  # noqa: B010 - a type checker refuses to replace a method


def allow_tf32(is_allowed: bool) -> None:
    """Whether a GPU may round the factors of float32 products to 10 bits, from now on. Paddle allows it by itself."""
    import paddle

    if hasattr(paddle.base.core, "set_cublas_switch"):  # builds for GPUs
        paddle.base.core.set_cublas_switch(is_allowed)


def autocast(precision: str) -> contextlib.AbstractContextManager[Any]:
    """A context in which matrix products are computed in half precision; in "fp32" and "tf32" nothing is cast.

    In "bf16" and "fp16" (Paddle's level O1) all else is computed in float32, in "bf16_o2" only what has to be.
    """
    import paddle

    if DTYPES[precision] == "float32":
        return contextlib.nullcontext()
    if is_cpu():
        return rounded_factors()
    return paddle.amp.auto_cast(dtype=DTYPES[precision], level="O2" if precision in MASTER_WEIGHTS else "O1")


@contextlib.contextmanager
def rounded_factors() -> Iterator[None]:
    """Context in which `models/cpu_ops.py` rounds the factors of products to bfloat16; Paddle itself cannot."""
    _rounds_factors.append(True)
    try:
        yield
    finally:
        _rounds_factors.pop()


_rounds_factors: list[bool] = []


def autocast_dtype() -> str | None:
    """Paddle's name of the type in which matrix products are computed here and now; None if nothing is cast."""
    import paddle

    if _rounds_factors:
        return "bfloat16"
    core, tracer = paddle.base.core, paddle.base.framework._dygraph_tracer()
    return None if tracer is None or tracer._amp_level == core.AmpLevel.O0 else str(tracer._amp_dtype)


def usable_precision(precision: str) -> tuple[str, str | None]:
    """(precision, reason): what this device can do, and why it is not what was asked for, or None."""
    import paddle

    if precision == "fp32":
        return precision, None
    if is_cpu():
        if precision == "bf16" and has_fast_bf16() and kernels().takes_bf16:
            return precision, None
        need = f"a processor with {FAST_BF16}" if precision == "bf16" else "a GPU"
        return "fp32", f"{precision} needs {need}: it changes nothing here"
    supported: dict[str, Callable[[], bool]] = {
        "tf32": lambda: paddle.device.cuda.get_device_capability()[0] >= 8,
        "bf16": paddle.amp.is_bfloat16_supported,
        "bf16_o2": paddle.amp.is_bfloat16_supported,
        "fp16": paddle.amp.is_float16_supported,
    }
    return (precision, None) if supported[precision]() else ("fp32", f"this GPU has no {precision}")


def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over the processes, in one message."""
    import paddle

    def mean(flat: Tensor) -> None:
        paddle.distributed.all_reduce(flat)
        flat.scale_(1 / num_processes())

    in_one_message(tensors, mean)


def in_one_message(tensors: Sequence[Tensor], communicate: Callable[[Tensor], Any]) -> None:
    """Let a function change tensors in place that are joined to one, and put its parts back."""
    import paddle

    with paddle.no_grad():
        flat = paddle.concat([tensor.flatten() for tensor in tensors])
        communicate(flat)
        for tensor, part in zip(tensors, paddle.split(flat, [int(tensor.size) for tensor in tensors]), strict=True):
            paddle.assign(part.reshape(tensor.shape), output=tensor)  # in Paddle 2.6 set_value goes through the host


def is_cpu() -> bool:
    """Whether Paddle runs on a CPU."""
    import paddle

    return paddle.device.get_device() == "cpu"


def mean_over_processes(values: Sequence[float]) -> list[float]:
    """Average a list of floats over the processes; every process must call it at the same step."""
    if num_processes() == 1:
        return list(values)
    import paddle

    tensor = paddle.to_tensor(list(values), dtype="float64")
    paddle.distributed.all_reduce(tensor)
    return [float(value) for value in (tensor / num_processes()).numpy()]


def is_any(condition: object) -> bool:
    """Whether a condition holds on any process; every process must call it at the same step."""
    return bool(mean_over_processes([float(bool(condition))])[0])


def send_from(source: int, tensors: Sequence[Tensor]) -> None:
    """Give all processes the tensors of one of them, in one message."""
    import paddle

    in_one_message(tensors, lambda flat: paddle.distributed.broadcast(flat, source))


def send_whole(source: int, tensor: Tensor) -> None:
    """Give all processes a tensor of one of them, without a copy on the way."""
    import paddle

    paddle.distributed.broadcast(tensor, source)


def gather(value: Any) -> list[Any]:
    """The picklable values of all processes, in the order of their ranks; every process must call it."""
    if num_processes() == 1:
        return [value]
    import paddle

    values: list[Any] = []
    paddle.distributed.all_gather_object(values, value)
    return values


def barrier() -> None:
    """Wait for all processes."""
    if num_processes() > 1:
        import paddle

        paddle.distributed.barrier()


@contextlib.contextmanager
def last_to_fail() -> Iterator[None]:
    """Context in which a process whose peer has died ends some seconds later than the peer.

    The launcher tells of the first failed process that it sees, in the order of ranks. Without the delay that is
    often one that only lost its connection. Gloo aborts where it loses one: `sleep` is called as the handler of
    SIGABRT with the signal's number, so for 6 seconds; after that the process aborts as it would have.
    """
    if num_processes() == 1:
        yield
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system
        libc = ctypes.CDLL(None)
        libc.signal(int(signal.SIGABRT), ctypes.cast(libc.sleep, ctypes.c_void_p))
    try:
        yield
    except (RuntimeError, OSError, SystemError):  # of Paddle's communication, among others
        time.sleep(int(signal.SIGABRT))
        raise


def leave() -> None:
    """End a process of a job whose work is done and written; returns where there is only one process.

    Paddle's communication is not taken down part by part: at that, a process that had finished has been seen to
    abort (SIGABRT, Paddle 3.3.1, gloo), which makes the launcher call the job failed.
    """
    if num_processes() == 1:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
