# shellcheck shell=bash disable=SC2154,SC2034	# compare.sh sets what is not set here, and uses what is
# uses.sh: for compare.sh: lookups whose keys' uses are counted (key_vault.track_last_use), beside
# those whose are not.
#
# It is a setting of the role's, so the two cannot be of one session: they take turns.

counting_role='CREATE ROLE app_counted LOGIN IN ROLE app; ALTER ROLE app_counted SET key_vault.track_last_use = on'

counted() {
	local round=$1
	by_pgbench "$round" 2 uses "straight_$size" get@1
	session_role=app_counted by_pgbench "$round" 2 uses "straight_$size" get_counted@1
}
