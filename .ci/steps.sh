# What .ci/run and .ci/proof share: how a step runs, what is collected from its output, and how it all ends.
# Sourced, not run. Needs bash, cargo and a C++ compiler; installs the rest when it may.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
exec </dev/null
export CARGO_TERM_COLOR=never RUST_BACKTRACE="${RUST_BACKTRACE:-0}"

target=${CARGO_TARGET_DIR:-$PWD/target}
log=$target/ci.log
mkdir -p "$target" && : >"$log"
steps=() failed=()

# step NAME COMMAND..: runs it, shows and keeps its output, times it. A failure is remembered; the rest still runs.
step() {
    local name=$1 status=0 started=$SECONDS verdict=ok
    shift
    printf '\n==== %s\n' "$name"
    "$@" 2>&1 | tee -a "$log" || status=$?
    if [ $status -ne 0 ]; then
        verdict=FAILED
        failed+=("$name")
    fi
    steps+=("$(printf '%-44s %-6s %5d s' "$name" "$verdict" $((SECONDS - started)))")
    printf '==== %s: %s, %d s\n' "$name" "$verdict" $((SECONDS - started))
}

# Lines that a test or bench printed for us, wherever in its output they stand.
figures() { grep -o 'figure: .*' "$log" | sed 's/^figure: //' | awk '!seen[$0]++'; }
skipped() { grep -o 'skipped: .*' "$log" | sed 's/^skipped: //' | awk '!seen[$0]++'; }

# What a whole run has to show: how the line of each target begins, as a pattern, be it a figure or a word on why it was
# skipped.
targets=(
    'T1 power cuts' 'T1 broker' 'T2 nested' 'T2 broker' 'T3 fault loops' 'T3 broker' 'T4 failed syncs' 'T4 broker'
    'T5 every bit' 'T5 salvage' 'T5 broker' 'T6 .* on Ext4' 'T6 .* on Xfs' 'T7 SIGKILL' 'T7 random kills'
    'T7 kills at system calls' 'T8' 'T9' 'T10' 'T11 loom' 'T12 unsafe' 'T12 .*sanitizer' 'T12 .*valgrind' 'T13'
)

# Fails when nothing was printed about a target: whatever should have run it has not.
every_target() {
    local shown begin status=0
    shown=$(figures; skipped)
    for begin in "${targets[@]}"; do
        grep -qE "^$begin\b" <<<"$shown" || { echo "neither a figure nor a skip says \"$begin\""; status=1; }
    done
    return $status
}

# Prints what was found and ends with the verdict.
finish() {
    printf '\n==== figures\n'
    figures | sed 's/^/  /'
    printf '\n==== skipped\n'
    skipped | sed 's/^/  /'
    printf '\n==== steps\n'
    printf '  %s\n' "${steps[@]}"
    printf '\n==== %s in %d min %d s\n' "$([ ${#failed[@]} -eq 0 ] && echo passed || echo "FAILED: ${failed[*]}")" \
        $((SECONDS / 60)) $((SECONDS % 60))
    [ ${#failed[@]} -eq 0 ]
}

# some WHAT NAME..: fails without a single name. A list that is read from elsewhere is empty when it is read wrongly.
some() { [ $# -gt 1 ] || { echo "no $1 are listed"; return 1; }; }

# tested COMMAND..: runs tests, and fails also when not one was run: then a name or filter matches nothing.
tested() {
    local output=$target/tested.log
    "$@" 2>&1 | tee "$output" || return 1
    grep -qE 'test result: ok\. [1-9][0-9]* passed' "$output" || { echo "no test was run by: $*"; return 1; }
}

is_root() { [ "$(id -u)" -eq 0 ]; }
strict() { is_root && [ "${CI:-}" = true ]; }

# want COMMAND PACKAGE WHAT: fails, or says what is skipped, when the command is not there.
want() {
    command -v "$1" >/dev/null && return 0
    if strict; then
        echo "$1 is missing (package $2), and as root with CI=true that is a failure: $3"
        return 1
    fi
    echo "skipped: $3: for want of $1 (package $2)"
}

# Installs the tools that are absent, when it may, and says what cannot run without them.
tools() {
    local pair packages=() status=0
    for pair in c++:g++ strace:strace mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs losetup:mount valgrind:valgrind python3:python3-venv; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
    done
    if [ ${#packages[@]} -gt 0 ] && is_root && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
            echo "cannot install ${packages[*]}"
    fi
    want c++ g++ "T9 fuzzers" || status=1
    want strace strace "faults injected into system calls" || status=1
    want mkfs.ext4 e2fsprogs "checks against a real ext4" || status=1
    want mkfs.xfs xfsprogs "checks against a real XFS" || status=1
    want losetup mount "checks on small file systems" || status=1
    want valgrind valgrind "T12 tests under valgrind" || status=1
    want python3 python3-venv "keys and assignments beside kafka-python" || status=1
    if is_root && ! losetup -f >/dev/null 2>&1; then
        echo "skipped: checks on small file systems: for want of a loop device"
        ! strict || status=1
    fi
    is_root || echo "skipped: checks on small file systems: only root can mount them"
    rustc --version && cargo --version || status=1
    return $status
}

# metadata KIND: the names of the package's features, or of its targets of that kind, one a line.
metadata() {
    local package
    package=$(cargo metadata --no-deps --format-version 1 | grep -o '{"name":"annals","version":.*') || return 1
    if [ "$1" = features ]; then
        grep -oE '"features":\{[^}]*\}' <<<"$package" | head -n 1 | grep -oE '"[^"]+":\[' | tr -d '":['
    else
        grep -oE "\"kind\":\[\"$1\"\],\"crate_types\":\[\"bin\"\],\"name\":\"[^\"]+\"" <<<"$package" | cut -d'"' -f12
    fi
}

formatted() {
    cargo fmt --all --check && cargo fmt --manifest-path fuzz/Cargo.toml --check
}

# The commands the README gives to a newcomer, as written there.
readme_commands() {
    local commands status=0
    mapfile -t commands < <(sed -n '/^```sh$/,/^```$/p' README.md | grep '^cargo ')
    some "commands of the README" "${commands[@]}" || return 1
    for command in "${commands[@]}"; do
        echo "\$ $command"
        $command || status=1
    done
    return $status
}

examples() {
    local status=0 examples example
    mapfile -t examples < <(metadata example)
    some examples "${examples[@]}" || return 1
    for example in "${examples[@]}"; do
        echo "example $example"
        cargo run --release -p annals --all-features --example "$example" || status=1
    done
    return $status
}

# Every feature alone, none, and all together.
features() {
    local status=0 features feature
    mapfile -t features < <(metadata features)
    some features "${features[@]}" || return 1
    cargo clippy -p annals --all-targets --no-default-features -- -D warnings || status=1
    for feature in "${features[@]}"; do
        echo "feature $feature"
        cargo clippy -p annals --all-targets --no-default-features --features "$feature" -- -D warnings || status=1
    done
    cargo clippy -p annals --all-targets --all-features -- -D warnings || status=1
    return $status
}

# suites NAME..: the heavy suites, or those whose names contain one of these words, in the profile that has both
# speed and assertions.
suites() {
    # With the feature of the next step, so that the library is built once.
    cargo test --profile proof -p annals --features cli --test it -- --nocapture --test-threads=2 "$@"
}

# tool NAME..: the tool, run as a process, in the same profile.
tool() {
    cargo test --profile proof -p annals --features cli --bin annals --test cli -- --nocapture --test-threads=2 "$@"
}

# named WORD: the heavy suites and the tests of the tool whose names contain this word; there may be none in one of them.
named() {
    local status=0
    suites "$1" || status=1
    tool "$1" || status=1
    return $status
}

# The same suites against bugs that are put in on purpose: each has to be caught.
planted() {
    RUSTFLAGS="--cfg annals_planted" tested cargo test --profile proof -p annals --test it --target-dir "$target/planted" \
        planted -- --nocapture --test-threads=2
}

# The publish points that ship, in every order of their steps that a bound of three preemptions allows.
interleavings() {
    RUSTFLAGS="--cfg annals_loom" tested cargo test --release -p annals --lib --target-dir "$target/loom" sync::interleavings ||
        return 1
    echo "figure: T11 loom: the models of the gate and the group commit hold at bound 3"
}

# Packages beside the library: the oracles, one of them in Python.
members() {
    local status=0
    if kafka_python; then
        export ANNALS_KAFKA_PYTHON=$target/kafka-python/bin/python
    elif strict; then
        echo "kafka-python cannot be had, and as root with CI=true that is a failure: keys and assignments beside it"
        status=1
    fi
    tested cargo test --workspace --exclude annals -- --nocapture || status=1
    return $status
}

# Puts kafka-python, of the version below, into a virtual environment of its own, unless it is there.
kafka_python() {
    local venv=$target/kafka-python wanted=kafka-python==3.0.12
    command -v python3 >/dev/null || return 1
    "$venv/bin/python" -m pip freeze 2>/dev/null | grep -qx "$wanted" && return 0
    python3 -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check "$wanted"
}

# The tests of the library, and the suites in their short form, under two memory checkers.
address_sanitizer() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    ANNALS_MEMORY_CHECKER=1 ANNALS_PROOF=quick RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" tested \
        cargo test -p annals --lib --test it --target "$host" --target-dir "$target/asan" || return 1
    echo "figure: T12 the library's tests and the suites in their short form pass under the address sanitizer"
}

# valgrind_tests FILTER..: the tests of the library whose name matches, all of them without a filter. The system is called
# through libc: rustix otherwise looks for the kernel's vdso, where the clocks are, and valgrind has taken that away.
valgrind_tests() {
    command -v valgrind >/dev/null || { want valgrind valgrind "T12 tests under valgrind"; return; }
    local host
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    RUSTFLAGS="--cfg rustix_use_libc" tested env "CARGO_TARGET_${host}_RUNNER=valgrind -q --error-exitcode=99" \
        cargo test -p annals --lib --target-dir "$target/valgrind" -- "$@" || return 1
    echo "figure: T12 the library's tests ${*:-, all of them,} pass under valgrind"
}

# fuzzers RUNS SECONDS: every target of fuzz/, that many executions or that long, whichever ends first.
fuzzers() {
    command -v c++ >/dev/null || { want c++ g++ "T9 fuzzers"; return; }
    local runs=$1 seconds=$2 status=0 host out name names
    mapfile -t names < <(awk '/^\[\[bin\]\]/ { bin = 1 } bin && /^name = / { gsub(/"/, "", $3); print $3; bin = 0 }' fuzz/Cargo.toml)
    some fuzzers "${names[@]}" || return 1
    host=$(rustc -vV | sed -n 's/^host: //p')
    (cd fuzz && unset RUSTFLAGS && cargo clippy --target-dir "$target/fuzz" -- -D warnings &&
        cargo build --release --target-dir "$target/fuzz") || return 1
    for name in "${names[@]}"; do
        out=$target/fuzz/$name.log
        mkdir -p "$target/fuzz/corpus/$name"
        "$target/fuzz/$host/release/$name" "$target/fuzz/corpus/$name" -runs="$runs" -max_total_time="$seconds" \
            -rss_limit_mb=1024 -use_value_profile=1 -print_final_stats=1 -verbosity=1 \
            -artifact_prefix="$target/fuzz/$name-" >"$out" 2>&1 || { status=1; tail -n 40 "$out"; }
        awk -v name="$name" '
            /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
            /^stat::number_of_executed_units/ { runs = $2 }
            /^stat::average_exec_per_sec/ { rate = $2 }
            /passed the checks/ { passed = "; " $0 }
            END { printf "figure: T9 fuzz %s: %d executions, %d/s, %d edges covered%s\n", name, runs, rate, edges, passed; exit !runs }
        ' "$out" || status=1
    done
    return $status
}

benches() {
    cargo bench -p annals --benches
}

# The documentation, and whether the package has what it is compiled from.
documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc -p annals --no-deps --all-features || return 1
    cargo package -p annals --list --allow-dirty | grep -qx docs/format.md || {
        echo "docs/format.md is compiled into the documentation and is not in the package"
        return 1
    }
}
