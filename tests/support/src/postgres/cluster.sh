# Runs a private PostgreSQL cluster for as long as standard input stays open, then leaves nothing behind.
# The test process holds the other end, which the system closes however that process ends, `kill -9` included.
# Arguments: the directory of the programs, an empty directory that this script's user owns, and settings of the server.
# Lines on standard input stop the server, by a signal, and start it again; each is answered when that is done.
programs=$1
directory=$2
shift 2
server=

# Only the end of standard input ends this script. PIPE: the test process may die before it has read the answer.
trap '' HUP INT PIPE TERM
trap 'test -z "$server" || { kill -QUIT "$server"; wait "$server"; } 2>/dev/null; cd / && rm -rf "$directory"' EXIT

fail() {
    tail -n 20 log
    exit 1
}

cd "$directory" || exit
"$programs/initdb" -D data -U signet -A trust -E UTF8 --no-locale --no-sync >log 2>&1 </dev/null || fail

# No TCP: nobody else can connect, and no port can be taken. Nothing is read back after a crash, so nothing is synced.
# Without autovacuum the statistics, and so the query plans, depend on the test alone.
start() {
    "$programs/postgres" -D data -p 5432 -k "$directory" -c listen_addresses= \
        -c max_connections=200 -c shared_buffers=64MB -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
        -c wal_level=minimal -c max_wal_senders=0 -c autovacuum=off -c jit=off "$@" >>log 2>&1 </dev/null &
    server=$!
    # The file may still be that of a server that was killed.
    until [ "$(head -n 1 data/postmaster.pid 2>/dev/null)" = "$server" ] && grep -q '^ready' data/postmaster.pid; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
}

start "$@" || fail
echo ready

while read -r command signal; do
    case $command in
    stop)
        kill "-$signal" "$server"
        wait "$server"
        echo done.
        ;;
    start)
        # The backends of a server that was killed hold its memory until they notice.
        tries=0
        until start "$@"; do
            tries=$((tries + 1))
            [ "$tries" -lt 100 ] || fail
            sleep 0.1
        done
        echo ready
        ;;
    esac
done 2>/dev/null
