-- memory.sql: what this backend gains by its first :lookup, in bytes: in its
-- memory contexts, then in pages that are its own and not shared memory.

SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\set private `awk '/^[0-9a-f]+-/ { own = $2 ~ /p$/ } own && /^(Private_Dirty|Swap):/ { kb += $2 } END { print kb * 1024 }' /proc/$PID/smaps`
-- The first look at either costs memory itself
SELECT sum(used_bytes) AS contexts FROM pg_backend_memory_contexts \gset
SELECT sum(used_bytes) AS contexts FROM pg_backend_memory_contexts \gset
SELECT sum(used_bytes) AS contexts FROM pg_backend_memory_contexts \gset
\set private `awk '/^[0-9a-f]+-/ { own = $2 ~ /p$/ } own && /^(Private_Dirty|Swap):/ { kb += $2 } END { print kb * 1024 }' /proc/$PID/smaps`
:lookup \g /dev/null
\set private_after `awk '/^[0-9a-f]+-/ { own = $2 ~ /p$/ } own && /^(Private_Dirty|Swap):/ { kb += $2 } END { print kb * 1024 }' /proc/$PID/smaps`
SELECT sum(used_bytes) - :contexts FROM pg_backend_memory_contexts;
SELECT :private_after - :private;
