/*
 * key_vault.c
 *		The door: what the server does when it loads the library.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "api/by_token.h"
#include "crypto/prepare.h"
#include "server/audit_ring.h"
#include "server/redaction/redaction.h"
#include "server/settings.h"
#include "server/shared_slots.h"
#include "server/use_table.h"
#include "store/audit_writes.h"
#include "store/distribution.h"
#include "store/held_locks.h"
#include "store/outcome_scan.h"
#include "store/record_rows.h"
#include "store/revocation_rows.h"
#include "store/root_key_rows.h"
#include "store/secret_access.h"
#include "store/secret_table.h"
#include "store/statement.h"
#include "vault/identity/identity.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/providers/providers.h"
#include "vault/tokens/authentication.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	kv_settings_define();
	kv_redaction_init();
	kv_statement_init();
	kv_distribution_init();
	kv_secret_table_init();
	kv_audit_writes_init();
	kv_outcome_scan_init();
	kv_access_init();
	kv_held_locks_init();
	kv_root_key_rows_init();
	kv_record_rows_init();
	kv_revocation_rows_init();
	kv_identity_init();
	kv_authentication_init();
	kv_by_token_init();
	kv_providers_init();
	kv_dotenv_file_init();

	/* What a session inherits by the fork, it need not get for itself */
	if (process_shared_preload_libraries_in_progress)
	{
		kv_crypto_prepare();
		kv_authentication_prepare();
		kv_slots_init();
		kv_audit_ring_init();
		kv_use_table_init();
	}
}
