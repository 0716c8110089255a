#!/usr/bin/env bash
# A real Slurm of three nodes on one machine, without systemd: for tests, and to try a profile before the cluster has it.
# Nodes cpu1 and cpu2 (feature cpu), and gpu1 (feature gpu) with a pretend GPU, which Slurm hands out like a real one.
#
#   one-machine-slurm.sh install   Debian's or Ubuntu's packages
#   one-machine-slurm.sh start     leaves one that is up alone
#   one-machine-slurm.sh status    nodes and jobs; exit code 0 when every node can be used
#   one-machine-slurm.sh stop      cancels its jobs and ends the daemons that it started, no others
#   one-machine-slurm.sh env       the line that clients need: eval "$(one-machine-slurm.sh env)"
#
# As root: slurmd starts jobs in the name of users. Settings from the environment:
#   ONE_MACHINE_SLURM_DIR   its folder (default: one-machine-slurm in the temporary folder)
#   ONE_MACHINE_SLURM_CPUS, ONE_MACHINE_SLURM_MEMORY   of each node (4; 8000, in MB); may be more than the machine has
#   ONE_MACHINE_SLURM_GPUS  of gpu1 (1)
set -euo pipefail

BASE=${ONE_MACHINE_SLURM_DIR:-${TMPDIR:-/tmp}/one-machine-slurm}
CPUS=${ONE_MACHINE_SLURM_CPUS:-4}
MEMORY=${ONE_MACHINE_SLURM_MEMORY:-8000}
GPUS=${ONE_MACHINE_SLURM_GPUS:-1}
NODES=(cpu1 cpu2 gpu1)
PACKAGES=(slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge)
CONTROLLER_PORT=16817
FIRST_NODE_PORT=17001
export SLURM_CONF=$BASE/etc/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

fail() { echo "one-machine-slurm: $*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || fail "must be run as root, since slurmd starts jobs in the name of users"; }

need_packages() {
  for name in slurmctld slurmd munged squeue; do
    command -v "$name" >/dev/null ||
      fail "$name is not installed; on Debian or Ubuntu: apt-get install ${PACKAGES[*]} (or: $0 install)"
  done
}

install() {
  need_root
  if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null; then
    echo "installed already: $(slurmd -V)"
    return
  fi
  command -v apt-get >/dev/null ||
    fail "Slurm is not installed, and there is no apt-get here to install it with; install slurmctld, slurmd and munge"
  apt-get update -q || echo "one-machine-slurm: apt-get update failed; the lists of packages may be old" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${PACKAGES[@]}" ||
    fail "apt-get could not install ${PACKAGES[*]}; it says above why"
}

# A pid file counts only while the process is that daemon.
alive() {  # pid file, name
  local pid
  [ -s "$1" ] || return 1
  pid=$(cat "$1" 2>/dev/null) || return 1  # a daemon that ends removes it
  [ -n "$pid" ] && [ -d "/proc/$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "$2"
}

make_folders() {
  mkdir -p "$BASE"/{etc,state,log,run,spool}
  chmod 755 "$BASE" "$BASE"/{etc,state,log,run,spool}
  command install -d -m 755 -o munge -g munge "$BASE/munge" "$BASE/munge/run"
  command install -d -m 700 -o munge -g munge "$BASE/munge/key"
  if [ ! -s "$BASE/munge/key/munge.key" ]; then
    dd if=/dev/urandom of="$BASE/munge/key/munge.key" bs=128 count=1 status=none
    chown munge:munge "$BASE/munge/key/munge.key"
    chmod 400 "$BASE/munge/key/munge.key"
  fi
}

write_configuration() {
  local host lines="" number=0 name extra
  host=$(hostname -s)
  for name in "${NODES[@]}"; do
    extra="Feature=cpu"
    [[ $name == gpu* ]] && extra="Feature=gpu Gres=gpu:$GPUS"
    lines+="NodeName=$name NodeHostname=$host NodeAddr=127.0.0.1 Port=$((FIRST_NODE_PORT + number)) "
    lines+="CPUs=$CPUS RealMemory=$MEMORY State=UNKNOWN $extra"$'\n'
    mkdir -p "$BASE/spool/$name"
    number=$((number + 1))
  done
  cat >"$BASE/etc/slurm.conf" <<CONF
ClusterName=onemachine
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$CONTROLLER_PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$BASE/munge/munge.socket.2
CredType=cred/munge
StateSaveLocation=$BASE/state
SlurmdSpoolDir=$BASE/spool/%n
SlurmctldPidFile=$BASE/run/slurmctld.pid
SlurmdPidFile=$BASE/run/slurmd-%n.pid
SlurmctldLogFile=$BASE/log/slurmctld.log
SlurmdLogFile=$BASE/log/slurmd-%n.log
# No cgroups: works in containers without a writable cgroup tree.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# Who ran where: the tests read it.
JobCompType=jobcomp/filetxt
JobCompLoc=$BASE/log/jobs.txt
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# Nodes may claim more cores and memory than the one real machine has.
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=60
KillWait=5
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
DefMemPerCPU=500
$lines
PartitionName=regular Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1 Default=NO MaxTime=INFINITE State=UP
CONF
  # Slurm 23 and later wants its cgroup plugin named off.
  [ "$(slurmd -V | grep -oE "[0-9]+" | head -1)" -lt 23 ] || echo "CgroupPlugin=disabled" >"$BASE/etc/cgroup.conf"
  : >"$BASE/etc/gres.conf"
  if [ "$GPUS" -gt 0 ]; then
    # A character device, or Slurm leaves CUDA_VISIBLE_DEVICES unset: copies of /dev/null.
    mkdir -p "$BASE/dev"
    for number in $(seq 0 $((GPUS - 1))); do
      [ -c "$BASE/dev/gpu$number" ] || mknod -m 666 "$BASE/dev/gpu$number" c 1 3
      echo "NodeName=gpu1 Name=gpu File=$BASE/dev/gpu$number" >>"$BASE/etc/gres.conf"
    done
  fi
}

start_daemons() {
  if ! alive "$BASE/munge/run/munged.pid" munged; then
    # munged refuses to be root; --force: the temporary folder above its socket is open to all.
    setpriv --reuid munge --regid munge --clear-groups munged --force \
      --socket="$BASE/munge/munge.socket.2" --key-file="$BASE/munge/key/munge.key" \
      --pid-file="$BASE/munge/run/munged.pid" --log-file="$BASE/munge/munged.log" \
      --seed-file="$BASE/munge/munged.seed"
  fi
  munge -S "$BASE/munge/munge.socket.2" -n | unmunge -S "$BASE/munge/munge.socket.2" >/dev/null
  alive "$BASE/run/slurmctld.pid" slurmctld || slurmctld -f "$SLURM_CONF"
  for name in "${NODES[@]}"; do
    alive "$BASE/run/slurmd-$name.pid" slurmd || slurmd -N "$name" -f "$SLURM_CONF"
  done
}

start() {
  need_root
  need_packages
  if status >/dev/null 2>&1; then
    echo "is up already"
    return
  fi
  make_folders
  write_configuration
  start_daemons
  for _ in $(seq 120); do
    if status >/dev/null 2>&1; then
      sinfo -N -o "%N %T %c %m %G %f"
      return
    fi
    # Down nodes come back by themselves, drained ones do not.
    if sinfo -h -t drain,down -o %N 2>/dev/null | grep -q .; then
      scontrol update nodename="$(IFS=,; echo "${NODES[*]}")" state=resume 2>/dev/null || true
    fi
    sleep 0.25
  done
  tail -n 15 "$BASE"/log/*.log >&2
  sinfo -R >&2 || true
  fail "Slurm did not come up within 30 s; its last words are above"
}

status() {
  need_packages
  if ! [ -s "$SLURM_CONF" ] || ! scontrol ping 2>/dev/null | grep -q UP; then
    echo "is not up"
    return 1
  fi
  sinfo -N -o "%N %T %c %m %G %f"
  squeue
  local usable
  usable=$(sinfo -h -N -o "%N %t" | awk '$2=="idle"||$2=="mix"||$2=="alloc"||$2=="comp"{print $1}' | sort -u | wc -l)
  [ "$usable" = "${#NODES[@]}" ]
}

stop_daemon() {  # pid file, name
  alive "$1" "$2" || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    alive "$1" "$2" || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

stop() {
  need_root
  if [ -s "$SLURM_CONF" ] && timeout 10 scontrol ping 2>/dev/null | grep -q UP; then
    squeue -h -o %A | xargs -r scancel 2>/dev/null || true
    for _ in $(seq 60); do
      [ -z "$(squeue -h 2>/dev/null)" ] && break
      sleep 0.25
    done
  fi
  for name in "${NODES[@]}"; do stop_daemon "$BASE/run/slurmd-$name.pid" slurmd; done
  stop_daemon "$BASE/run/slurmctld.pid" slurmctld
  stop_daemon "$BASE/munge/run/munged.pid" munged
}

case ${1:-} in
  install | start | status | stop) "$1" ;;
  env) echo "export SLURM_CONF=$SLURM_CONF" ;;
  *) sed -n '2,15p' "$0"; exit 2 ;;
esac
