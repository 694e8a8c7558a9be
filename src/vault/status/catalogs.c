/*
 * catalogs.c
 *		The items that the catalogs answer alone: roles, rights, tables.
 */
#include "postgres.h"

#include "store/status_rows.h"
#include "vault/status/checks.h"

KvFinding
kv_check_service_roles(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_SERVICE_ROLES),
							"No role may act for any user.");
}

KvFinding
kv_check_role_settings(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_ROLE_SETTINGS),
							"key_vault.user_id and key_vault.team_id are set for no role.");
}

KvFinding
kv_check_privileges(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_PRIVILEGES),
							"No role has more than its level gives.");
}

KvFinding
kv_check_policies(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_POLICIES),
							"Row-level security is as installed.");
}

KvFinding
kv_check_tables(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_TABLES),
							"All belongs to the owner of the extension, and survives a crash.");
}

KvFinding
kv_check_pgcrypto(void)
{
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_PGCRYPTO),
							"No stranger can drop pgcrypto.");
}
