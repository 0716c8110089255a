"""Cluster profiles: the jobs they give, and what is wrong with one, before anything starts."""

import shlex
from pathlib import Path

import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.execution import allocation_script, read_profile
from uemdask.execution.cluster.allocation import launcher
from uemdask.execution.cluster.batch import batch_system
from uemdask.execution.cluster.profile import TlsFiles
from uemdask.execution.cluster.security import security_from

DEPLOY = Path(__file__).parents[2] / "deploy"
KEYS = TlsFiles(ca=Path("ca.pem"), certificate=Path("cert.pem"), key=Path("key.pem"))
PYTHON = "/opt/env/bin/python"

EXPORTS = """\
export MALLOC_MMAP_THRESHOLD_=1073741824
export OMP_NUM_THREADS=1
export OMP_WAIT_POLICY=PASSIVE
export OPENBLAS_NUM_THREADS=1
export MKL_NUM_THREADS=1
export DASK_DISTRIBUTED__WORKER__DAEMON=False
export DASK_DISTRIBUTED__WORKER__PRELOAD='["uemdask.execution.worker"]'
export DASK_DISTRIBUTED__ADMIN__TICK__LIMIT=60s
export DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=60s
"""
TLS = "--protocol tls:// --tls-ca-file ca.pem --tls-cert cert.pem --tls-key key.pem"


@pytest.fixture
def profile(tmp_path):
    """Return a function that reads a profile of the given text."""

    def read(text):
        (tmp_path / "profile.yaml").write_text(text, encoding="utf-8")
        return read_profile(tmp_path / "profile.yaml")

    return read


def shipped(name):
    return read_profile(DEPLOY / f"{name}.yaml").model_copy(update={"python": PYTHON})


def script(name, pool, tmp_path):
    """Render a job of a shipped profile, with the folder of the logs written as LOGS."""
    found = shipped(name)
    chosen = next(p for p in found.pools if p.name == pool)
    job = batch_system(found).job(
        chosen,
        name=f"{pool}.0",
        scheduler="tls://10.1.2.3:40000",
        security=security_from(KEYS),
        logs=tmp_path,
    )
    return job.job_script().replace(str(tmp_path), "LOGS")


def worker(pool, *, memory, processes="", scratch="${TMPDIR:-/tmp}", interface="ib0"):
    return (
        f"{PYTHON} -m distributed.cli.dask_worker tls://10.1.2.3:40000 --name {pool}.0 "
        f"--nthreads 1 --memory-limit {memory} {processes}--nanny --death-timeout 180 "
        f'--local-directory "{scratch}" --no-dashboard --resources {pool.upper()}=1 '
        f"--lifetime 7020s --lifetime-stagger 60s --interface {interface} {TLS}\n"
    )


GPU_EXPORTS = EXPORTS.replace("execution.worker", "execution.cluster.own_gpu")

RENDERED = {
    ("slurm", "cpu"): """\
#!/bin/bash -l

#SBATCH -J uemdask-cpu
#SBATCH -e LOGS/uemdask-cpu-%J.err
#SBATCH -o LOGS/uemdask-cpu-%J.out
#SBATCH -p standard
#SBATCH -A my_account
#SBATCH -n 1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH -t 02:00:00
"""
    + EXPORTS
    + worker("cpu", memory="2.00GiB", processes="--nworkers 32 "),
    ("slurm", "gpu"): """\
#!/bin/bash -l

#SBATCH -J uemdask-gpu
#SBATCH -e LOGS/uemdask-gpu-%J.err
#SBATCH -o LOGS/uemdask-gpu-%J.out
#SBATCH -p gpu
#SBATCH -A my_account
#SBATCH -n 1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH -t 02:00:00
#SBATCH --gres=gpu:1
"""
    + GPU_EXPORTS
    + worker("gpu", memory="32.00GiB"),
    ("pbs", "cpu"): """\
#!/bin/bash -l

#PBS -N uemdask-cpu
#PBS -q workq
#PBS -A my_account
#PBS -l select=1:ncpus=32:mem=65536mb
#PBS -l walltime=02:00:00
#PBS -e LOGS/
#PBS -o LOGS/
#PBS -V
"""
    + EXPORTS
    + worker("cpu", memory="2.00GiB", processes="--nworkers 32 "),
    ("pbs", "gpu"): """\
#!/bin/bash -l

#PBS -N uemdask-gpu
#PBS -q gpuq
#PBS -A my_account
#PBS -l select=1:ncpus=8:ngpus=1:mem=32768mb
#PBS -l walltime=02:00:00
#PBS -e LOGS/
#PBS -o LOGS/
#PBS -V
"""
    + GPU_EXPORTS
    + worker("gpu", memory="32.00GiB"),
    ("perlmutter", "cpu"): """\
#!/bin/bash -l

#SBATCH -J uemdask-cpu
#SBATCH -e LOGS/uemdask-cpu-%J.err
#SBATCH -o LOGS/uemdask-cpu-%J.out
#SBATCH -A m0000
#SBATCH -n 1
#SBATCH --cpus-per-task=64
#SBATCH --mem=112G
#SBATCH -t 02:00:00
#SBATCH -C cpu
#SBATCH -q shared
"""
    + EXPORTS
    + "module load python\nconda activate uemdask\n"
    + worker("cpu", memory="3.49GiB", processes="--nworkers 32 ", scratch="/tmp", interface="hsn0"),
    ("perlmutter", "gpu"): """\
#!/bin/bash -l

#SBATCH -J uemdask-gpu
#SBATCH -e LOGS/uemdask-gpu-%J.err
#SBATCH -o LOGS/uemdask-gpu-%J.out
#SBATCH -A m0000
#SBATCH -n 1
#SBATCH --cpus-per-task=32
#SBATCH --mem=53G
#SBATCH -t 02:00:00
#SBATCH -C gpu
#SBATCH -q shared
#SBATCH --gpus-per-task=1
"""
    + GPU_EXPORTS
    + "module load python\nconda activate uemdask\n"
    + worker("gpu", memory="52.15GiB", scratch="/tmp", interface="hsn0"),
}


@pytest.mark.parametrize(("site", "pool"), RENDERED)
def test_jobs_of_shipped_profiles(site, pool, tmp_path):
    assert script(site, pool, tmp_path) == RENDERED[site, pool]


def test_polaris_is_one_job_of_whole_nodes():
    found = shipped("polaris")
    text = """\
#!/bin/bash -l
#PBS -N uemdask
#PBS -l select=2:system=polaris
#PBS -l walltime=01:00:00
#PBS -A my_project
#PBS -q debug
#PBS -l place=scatter
#PBS -l filesystems=home:eagle
cd "$PBS_O_WORKDIR"
module use /soft/modulefiles
module load conda
conda activate uemdask
uemdask run 'my campaign.yaml'
"""
    assert allocation_script(found, ["uemdask", "run", "my campaign.yaml"]) == text
    assert launcher(found, found.pools[1], "x3001c0s1b0n0") == [
        *("mpiexec", "-n", "1", "--ppn", "1", "--hosts", "x3001c0s1b0n0", "--cpu-bind", "none")
    ]


def test_an_allocation_on_slurm_is_one_job_with_a_part_for_each_pool():
    found = shipped("slurm").model_copy(update={"launch": "allocation"})
    text = allocation_script(found, ["uemdask", "run", "c.yaml"])
    first, second = text.split("#SBATCH hetjob\n")
    assert "#SBATCH -N 1\n#SBATCH --ntasks-per-node=1 --cpus-per-task=32\n" in first
    assert "#SBATCH -p standard\n" in first
    assert "gres" not in first
    assert "#SBATCH --gres=gpu:1\n" in second
    assert "#SBATCH -p gpu\n" in second
    assert launcher(found, found.pools[1], "node7")[-2:] == ["--nodelist=node7", "--het-group=1"]


def test_local_and_existing_profiles_are_valid():
    assert read_profile(DEPLOY / "local.yaml").kind == "local"
    assert read_profile(DEPLOY / "existing.yaml").kind == "existing"


@pytest.mark.parametrize("memory", ["2 bananas", "much"])
def test_memory_is_a_size(profile, memory):
    with pytest.raises(FaultsError) as caught:
        profile(f"memory: {memory}\n")
    assert any("memory" in fault and "2GiB" in fault for fault in caught.value.faults)
    assert profile("memory: 1.5 GiB\n").memory == "1.5 GiB"


POOL = "{name: cpu, cores: 4, memory: 8GiB}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: existing\naddress: login3\n", "'login3' is none of a scheduler; write it like tcp"),
        ("kind: existing\naddress: http://login3:8787\n", "write it like tcp://host:8786"),
        ("kind: existing\naddress: tls://login3:8786\n", "tls: {ca: ..., certificate: ..., key"),
        (f"kind: slurm\npools: [{POOL}]\ndirectives: ['#SBATCH -C a']\n", "leave out '#SBATCH'"),
        ("kind: [slurm]\n", "write one of local, existing, slurm, pbs"),
        (f"kind: slurm\npools: [{POOL}]\nwalltime: '00:00:00'\n", "is no time"),
        ("kind: slurm\npools: [{name: cpu, cores: 2, memory: 0GB}]\n", "'0GB' is no size"),
        ("kind: lsf\n", "write one of local, existing, slurm, pbs"),
        ("kind: existing\n", "scheduler_file"),
        ("kind: existing\naddress: a\nscheduler_file: b\n", "one of the two"),
        ("kind: slurm\npools: []\n", "pools"),
        (f"kind: slurm\npools: [{POOL}]\nwalltime: 2h\n", "'02:00:00'"),
        (f"kind: slurm\npools: [{POOL}]\ncolour: red\n", "colour"),
        (f"kind: slurm\npools: [{POOL}, {POOL}]\n", "two pools are named 'cpu'"),
        ("kind: slurm\npools: [{name: cpu, cores: 2, memory: 8}]\n", "memory"),
        ("kind: pbs\npools: [{name: cpu, cores: 2, memory: 8GB, processes: 4}]\n", "each process"),
        ("kind: pbs\npools: [{name: g, cores: 8, memory: 8GB, gpus: 2, processes: 4}]\n", "GPUs"),
        ("kind: pbs\npools: [{name: g, cores: 8, memory: 8GB, minimum: 4}]\n", "maximum"),
        ("kind: pbs\npools: [{name: G 1, cores: 8, memory: 8GB}]\n", "name"),
        (
            'kind: slurm\ndirectives: ["-C cpu\\nrm -r /"]\npools: [' + POOL + "]\n",
            "several lines",
        ),
        ("- 1\n", "key: value"),
    ],
)
def test_what_is_wrong_is_said(profile, text, said):
    with pytest.raises(UemError, match=said.replace("(", r"\(")):
        profile(text)


def test_all_faults_are_told_with_their_line(profile):
    with pytest.raises(FaultsError) as caught:
        profile(
            "kind: slurm\nprolog: [a]\nwalltime: 2h\npools:\n"
            f"  - {POOL}\n  - {{name: g, cpus: 2}}\n"
        )
    places = [fault.partition(": ")[0] for fault in caught.value.faults]
    assert places[:3] == ["line 2, prolog", "line 3, walltime", "line 6, pools.1.cpus"]
    assert places[3:] == ["pools.1.cores", "pools.1.memory"]  # not in the file
    for key in ("prologue", "cores"):
        assert any(f"; did you mean {key!r}?" in fault for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("directives", "asked"),
    [("[--gpus=2]", 1), ("[-G 1]", 1), ("[--gres=gpu:a100:1]", 1), ("[-C gpu]", 2)],
)
def test_gpus_are_asked_for_once(profile, tmp_path, directives, asked):
    found = profile(
        "kind: slurm\npools: [{name: gpu, cores: 2, memory: 8GiB, gpus: 1, "
        f"directives: {directives}}}]\n"
    )
    job = batch_system(found).job(
        found.pools[0], name="gpu.0", scheduler="tcp://h:1", logs=tmp_path
    )
    assert sum("gpu" in line or "-G" in line for line in job.job_header.splitlines()[1:]) == (
        asked + 2  # -e and -o name the pool
    )


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
def test_blanks_in_paths(profile, tmp_path, kind):
    found = profile(f"kind: {kind}\npools: [{POOL}]\n")
    folder = tmp_path / "Messung 3, grün"
    keys = {name: folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
    job = batch_system(found).job(
        found.pools[0],
        name="cpu.0",
        scheduler="tls://h:1",
        security=security_from(TlsFiles(**keys)),
        logs=folder,
    )
    head = [line for line in job.job_header.splitlines() if " -o " in line]
    assert [shlex.split(line)[2].startswith(f"{folder}/") for line in head] == [True]
    command = shlex.split(job.job_script().splitlines()[-1])
    for option, path in zip(
        ("--tls-ca-file", "--tls-cert", "--tls-key"), keys.values(), strict=True
    ):
        assert command[command.index(option) + 1] == str(path)


def test_settings_of_other_projects_do_not_matter(tmp_path):
    import dask

    plain = script("slurm", "cpu", tmp_path)
    foreign = {
        "account": "other",
        "queue": "other",
        "job-mem": "1G",
        "job-extra-directives": ["--other"],
        "worker-extra-args": ["--other"],
        "shebang": "#!/bin/other",
    }
    with dask.config.set({"jobqueue.slurm": foreign}):
        assert script("slurm", "cpu", tmp_path) == plain


def test_ctrl_c_stays_what_it_was():
    import signal

    before = signal.getsignal(signal.SIGINT)
    batch_system(shipped("slurm"))
    assert signal.getsignal(signal.SIGINT) is before
