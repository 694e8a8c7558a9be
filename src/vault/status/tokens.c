/*
 * tokens.c
 *		Whether the issuers of tokens are as they should be, and the roles that authenticate.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "server/compat.h"
#include "store/record_rows.h"
#include "store/status_rows.h"
#include "vault/status/checks.h"
#include "vault/tokens/issuer_list.h"

/* One audience of one issuer, copied. */
typedef struct Audience
{
	const char *issuer;
	const char *audience;		/* UTF-8 */
} Audience;

static void
note_audiences(const char *name, const KvIssuer *issuer, void *arg)
{
	List	  **all = arg;

	for (size_t i = 0; i < issuer->rules.audience_count; i++)
	{
		Audience   *one = palloc(sizeof(Audience));

		one->issuer = name;
		one->audience = pstrdup(issuer->rules.audiences[i]);
		*all = lappend(*all, one);
	}
}

static KvStatusRow *
row(KvSeverity severity, char *detail, const char *remedy)
{
	KvStatusRow *result = palloc(sizeof(KvStatusRow));

	result->severity = severity;
	result->detail = detail;
	result->remedy = remedy != NULL ? pstrdup(remedy) : NULL;
	return result;
}

/* A token for the one is good for the other: whoever gets hold of it is that user here, too. */
static List *
shared_audiences(const List *audiences)
{
	List	   *rows = NIL;
	ListCell   *first;
	ListCell   *second;

	foreach(first, audiences)
	{
		const Audience *one = lfirst(first);

		for_each_cell(second, audiences, lnext(audiences, first))
		{
			const Audience *other = lfirst(second);

			if (strcmp(one->audience, other->audience) == 0 && strcmp(one->issuer, other->issuer) != 0)
				rows = lappend(rows, row(KV_SEVERITY_WARNING,
										 psprintf("issuers %s and %s have an audience in common", one->issuer, other->issuer),
										 "-- have each issuer name an audience of its own, and call key_vault.trust_issuer() again"));
		}
	}
	return rows;
}

KvFinding
kv_check_issuers(void)
{
	List	   *records = kv_record_rows_read(KV_RECORD_ISSUER);
	List	   *audiences = NIL;
	List	   *rows = NIL;
	ListCell   *cell;

	foreach(cell, records)
	{
		const KvRecordRow *record = lfirst(cell);
		const char *why;

		if (!kv_issuer_read(record, &why, note_audiences, &audiences))
			rows = lappend(rows, row(KV_SEVERITY_ERROR,
									 psprintf("the row of issuer %s does not open: %s", record->name, why),
									 "-- restore table key_vault_data.sealed_records from a backup, or call key_vault.trust_issuer() again"));
	}
	rows = list_concat(rows, shared_audiences(audiences));
	return kv_found_in_rows(rows, psprintf(list_length(records) == 1 ? "%d issuer of tokens is trusted." :
										   "%d issuers of tokens are trusted.", list_length(records)));
}

KvFinding
kv_check_token_roles(void)
{
	if (kv_record_rows_read(KV_RECORD_ISSUER) == NIL)
		return kv_found_ok("No issuer of tokens is trusted, and no role authenticates.");
	return kv_found_in_rows(kv_status_rows_ask(KV_ASK_TOKEN_ROLES),
							"No role at level user can leave behind what another request would run.");
}
