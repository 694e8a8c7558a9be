/*
 * audit.c
 *		Whether calls leave their records, and what keeps them from it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/timestamp.h"

#include "server/audit_ring.h"
#include "server/compat.h"
#include "server/settings.h"
#include "store/audit_rows.h"
#include "vault/roots/chain_key.h"
#include "vault/status/checks.h"

#define ON_A_STANDBY "On a standby no record can be written: "

static const char *
setting_name(void)
{
	return kv_setting_audit == KV_AUDIT_DURABLE ? "durable" : "async";
}

static KvFinding
on_a_standby(void)
{
	if (kv_setting_audit == KV_AUDIT_DURABLE)
		return kv_found_warning(ON_A_STANDBY "with key_vault.audit = durable it hands out no key.",
								"ALTER SYSTEM SET key_vault.audit = 'async'; SELECT pg_reload_conf();");
	return kv_found_ok(ON_A_STANDBY "records go to the server's log.");
}

/* NULL when the key of the chain opens, or there is none yet; else why not. */
static const char *
obstacle_of_chain_key(void)
{
	KvAuditKeyRow key;
	const char *why;
	KvChainMac *mac;

	if (!kv_audit_key_last(&key) || key.sealed == NULL)
		return NULL;
	mac = kv_chain_key_open(&key, &why);
	if (mac == NULL)
		return why;
	kv_chain_mac_free(mac);
	return NULL;
}

static const char *
last_record(void)
{
	KvAuditHead head;

	kv_audit_rows_head(&head);
	if (head.number == 0)
		return "There is no record yet";
	return psprintf("The last record is " INT64_FORMAT ", of %s", head.number, timestamptz_to_str(head.at));
}

KvFinding
kv_check_audit(void)
{
	char		problem[KV_AUDIT_PROBLEM_BYTES];
	const char *why;
	bool		served;

	if (kv_setting_audit == KV_AUDIT_OFF)
		return kv_found_ok("key_vault.audit is off: calls leave no records.");
	if (!kv_audit_ring_exists())
		return kv_found_error("key_vault.audit is on, but the library is not in shared_preload_libraries: no call reaches a key.",
							  "Add key_vault to shared_preload_libraries and restart the server.");
	if (RecoveryInProgress())
		return on_a_standby();
	why = obstacle_of_chain_key();
	if (why != NULL)
		return kv_found_error(psprintf("The chain key does not open: %s. No record can be written, and no call reaches a key.", why),
							  "Restore the keyring that this database was sealed with.");
	served = kv_audit_ring_look(problem);
	if (problem[0] != '\0')
		return kv_found_error(psprintf("No record can be written, and no call reaches a key: %s", problem),
							  "Mend that: the worker tries again by itself.");
	return kv_found_ok(psprintf("key_vault.audit is %s. %s. The worker %s.", setting_name(), last_record(),
								served ? "is there" : "starts with the next call"));
}
