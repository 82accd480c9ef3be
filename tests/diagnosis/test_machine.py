import pytest

from electra_paddle import runtime
from electra_paddle.diagnosis import machine

AVX512 = "avx avx2 " + " ".join(sorted(runtime.AVX512))


def findings_of(monkeypatch, flags, vendor="AuthenticAMD", **environment):
    description = f"vendor_id\t: {vendor}\nmodel name\t: Some CPU\nflags\t\t: {flags}\n"
    monkeypatch.setattr(runtime, "cpu_description", lambda: description)
    return {finding.topic: finding for finding in machine.check_processor(environment)}


def test_paths_of_processors(monkeypatch):
    amd = findings_of(monkeypatch, f"{AVX512} avx512_bf16 avx512_vnni")
    assert amd["processor"].found == "Some CPU: AVX-512, VNNI, bf16 (avx512_bf16); no AMX"
    assert amd["bf16 on the CPU"].found.startswith("faster")
    assert amd["matrix products"].found == "AVX-512, by MKL_DEBUG_CPU_TYPE=7, which this package sets"

    old = findings_of(monkeypatch, "avx avx2")
    assert old["processor"].found == "Some CPU: AVX2; no AVX-512, no VNNI, no bf16, no AMX"
    assert old["bf16 on the CPU"].found.startswith("no faster")
    assert old["matrix products"].found.startswith("AVX2, by MKL_DEBUG_CPU_TYPE=5")

    intel = findings_of(monkeypatch, f"{AVX512} avx512_bf16 avx512_vnni amx_bf16 amx_tile", "GenuineIntel")
    assert intel["processor"].found == "Some CPU: AVX-512, VNNI, bf16 (avx512_bf16, amx_bf16), AMX"
    assert "matrix products" not in intel
    assert {finding.state for finding in (*amd.values(), *old.values(), *intel.values())} == {"right"}


def test_processor_without_avx_is_wrong_and_settings_that_slow_it_down_are_told(monkeypatch):
    assert findings_of(monkeypatch, "sse2")["processor"].state == "wrong"
    slowed = findings_of(monkeypatch, AVX512, MKL_DEBUG_CPU_TYPE="5", FLAGS_use_mkldnn="0")
    assert (slowed["matrix products"].state, slowed["matrix products"].mend) == ("warning", "unset MKL_DEBUG_CPU_TYPE")
    assert (slowed["oneDNN"].state, slowed["oneDNN"].mend) == ("warning", "unset FLAGS_use_mkldnn")


@pytest.mark.parametrize(
    ("value", "state"), [(None, "right"), ("4", "right"), ("1", "warning"), ("8", "warning"), ("all", "wrong")]
)
def test_threads_beside_cores(value, state):
    environment = {} if value is None else {"OMP_NUM_THREADS": value}
    _, threads = machine.check_threads(environment, 4)
    assert threads.state == state
    assert threads.mend == ("" if state == "right" else "unset OMP_NUM_THREADS")


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_memory_of_the_machine_is_the_kernel_s(tmp_path):
    assert machine.memory_sizes(tmp_path) is None
    write(tmp_path, {"proc/meminfo": "MemTotal:       2000 kB\nMemFree:  500 kB\nMemAvailable:    1500 kB\n"})
    assert machine.memory_sizes(tmp_path) == (2_048_000, 1_536_000)


def test_limit_of_control_groups_is_the_smallest_on_the_way_up(tmp_path):
    assert machine.memory_limit(tmp_path) is None
    write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n"})
    assert machine.memory_limit(tmp_path) is None
    write(tmp_path, {"sys/fs/cgroup/outer/memory.max": "7000000000\n"})
    write(tmp_path, {"sys/fs/cgroup/outer/inner/memory.max": "max\n"})
    assert machine.memory_limit(tmp_path) == 7_000_000_000


def test_limit_of_the_first_version_s_groups_also_where_a_container_hides_the_path(tmp_path):
    write(tmp_path, {"proc/self/cgroup": "4:cpu,memory:/docker/abc\n1:cpuset:/\n"})
    write(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"})  # stands for none
    assert machine.memory_limit(tmp_path) is None
    write(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000000\n"})
    assert machine.memory_limit(tmp_path) == 3_000_000_000


@pytest.mark.parametrize(
    ("sizes", "limit", "state"),
    [
        ((16e9, 8e9), None, "right"),
        ((16e9, 8e9), 4e9, "right"),
        ((16e9, 0.5e9), None, "warning"),
        ((16e9, 8e9), 0.5e9, "wrong"),
        ((0.9e9, 0.8e9), None, "wrong"),
    ],
)
def test_room_for_paddle(sizes, limit, state):
    (finding,) = machine.check_memory(sizes, limit)
    assert finding.state == state
