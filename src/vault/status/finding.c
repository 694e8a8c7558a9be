/*
 * finding.c
 *		Makes one finding of what was found.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "store/status_rows.h"
#include "vault/status/finding.h"

static KvFinding
found(const char *state, const char *detail, const char *remedy)
{
	KvFinding	finding = {state, detail, remedy};

	return finding;
}

KvFinding
kv_found_ok(const char *detail)
{
	return found("ok", detail, NULL);
}

KvFinding
kv_found_warning(const char *detail, const char *remedy)
{
	return found("warning", detail, remedy);
}

KvFinding
kv_found_error(const char *detail, const char *remedy)
{
	return found("error", detail, remedy);
}

KvFinding
kv_found_in_rows(const List *rows, const char *without)
{
	StringInfoData details;
	StringInfoData remedies;
	KvSeverity	worst = KV_SEVERITY_OK;
	ListCell   *cell;

	if (rows == NIL)
		return kv_found_ok(without);
	initStringInfo(&details);
	initStringInfo(&remedies);
	foreach(cell, rows)
	{
		const KvStatusRow *row = lfirst(cell);

		appendStringInfo(&details, "%s%s", details.len > 0 ? "; " : "", row->detail);
		if (row->remedy != NULL)
			appendStringInfo(&remedies, "%s%s", remedies.len > 0 ? "\n" : "", row->remedy);
		worst = Max(worst, row->severity);
	}
	switch (worst)
	{
		case KV_SEVERITY_OK:
			break;
		case KV_SEVERITY_WARNING:
			return kv_found_warning(details.data, remedies.data);
		case KV_SEVERITY_ERROR:
			return kv_found_error(details.data, remedies.data);
	}
	return kv_found_ok(details.data);
}
