/*
 * calls.c
 *		What a call leaves behind in the audit.
 *
 * Of a call that is refused, and of one that finds nothing, what was named may be a key in the
 * wrong place: what looks like one is withheld.
 *
 * Calls that create and activate root keys are not waited for, not even when durable: without an
 * active root key, which is there for others once they have committed, no record can be chained.
 * They hand out no key.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/ip.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "format/key_looks.h"
#include "server/audit_ring.h"
#include "server/compat.h"
#include "server/errors.h"
#include "vault/audit/calls.h"
#include "vault/audit/record.h"
#include "vault/identity/identity.h"
#include "vault/identity/team.h"
#include "vault/providers/providers.h"

#define WITHHELD "(withheld)"
#define NAME_SHOWN 63			/* bytes, as a label has */

KvAuditCall *kv_audit_call;

pg_noreturn static void
report_standby(void)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_AUDIT),
			 errmsg("no audit record can be written on a standby"),
			 errdetail("key_vault.audit is durable."),
			 errhint("Ask the primary, or set key_vault.audit to async on the standby: its records go to the server's log then.")));
}

/* A provider as it is registered: else it may be a key. */
static const text *
shown_provider(const text *named)
{
	const KvProvider *provider;

	if (named == NULL)
		return NULL;
	provider = kv_provider_find(named);
	return provider != NULL ?
		DatumGetTextPCopy(PointerGetDatum(provider->name)) : cstring_to_text(WITHHELD);
}

/* What can throw, or looks at tables, is done before the call: not while an error passes. */
void
kv_audit_begin(KvAuditCall *call)
{
	int			len;
	const char *identity = kv_identity(&len);

	if (kv_setting_audit == KV_AUDIT_DURABLE && RecoveryInProgress())
		report_standby();
	call->role = GetUserNameFromId(GetUserId(), true);
	if (call->user_id == NULL && identity != NULL)
		call->identity = pnstrdup(identity, len);
	call->provider = shown_provider(call->provider);
	call->outer = kv_audit_call;
	call->audited = true;
	kv_audit_call = call;
}

/* Whether a name is withheld. */
typedef bool (*Withheld) (const char *name, int len);

/* Looks like a key of no matter which provider, for nothing can be looked up any more. */
static bool
may_be_key(const char *name, int len)
{
	size_t		start;
	size_t		found;

	return len >= KV_LOOKS_MIN && !kv_looks_like_uuid(name, len) &&
		(kv_looks_mixed(name, len) || kv_find_jwt(name, len, 0, &start, &found));
}

/* Looks like a key of a registered provider. */
static bool
is_like_key(const char *name, int len)
{
	int			count;
	const KvKeyPrefix *prefixes;
	size_t		start;
	size_t		found;

	if (len < KV_LOOKS_MIN)
		return false;
	prefixes = kv_provider_prefixes(&count);
	return kv_find_key(name, len, 0, prefixes, count, &start, &found) ||
		kv_find_jwt(name, len, 0, &start, &found);
}

/* The beginning of a name, of at most so many bytes, unless it is withheld. */
static const char *
shown_bytes(const char *name, int len, int max, Withheld withheld, char *buffer)
{
	if (withheld != NULL && withheld(name, len))
		return WITHHELD;
	if (len > max)
		len = pg_mbcliplen(name, len, max);
	memcpy(buffer, name, len);
	buffer[len] = '\0';
	return buffer;
}

static const char *
shown(const text *value, int max, Withheld withheld, char *buffer)
{
	return value == NULL ? NULL :
		shown_bytes(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), max, withheld, buffer);
}

/* NULL for an empty one, too. */
static const char *
shown_string(const char *value, int max, Withheld withheld, char *buffer)
{
	return value == NULL || value[0] == '\0' ? NULL :
		shown_bytes(value, strlen(value), max, withheld, buffer);
}

/* Room for the texts of a record, which is made while an error passes, too. */
typedef struct Texts
{
	char		user_id[KV_USER_ID_MAX + 1];
	char		team_id[KV_USER_ID_MAX + 1];
	char		provider[NAME_SHOWN + 1];
	char		label[NAME_SHOWN + 1];
	char		subject[2 * NAME_SHOWN + 1];
	char		application_name[NAME_SHOWN + 1];
	char		sqlstate[6];
} Texts;

/* From where the session was connected; NULL for a socket of this machine. */
static const char *
client_address(void)
{
	static bool known = false;
	static char address[NAME_SHOWN + 1];

	if (!known && MyBEEntry != NULL)
	{
		const SockAddr *from = (const SockAddr *) &MyBEEntry->st_clientaddr;

		if ((from->addr.ss_family != AF_INET && from->addr.ss_family != AF_INET6) ||
			pg_getnameinfo_all(&from->addr, from->salen, address, sizeof(address),
							   NULL, 0, NI_NUMERICHOST) != 0)
			address[0] = '\0';
		known = true;
	}
	return address[0] != '\0' ? address : NULL;
}

static void
describe_session(Texts *texts, KvAuditRow *row)
{
	row->at = GetCurrentTimestamp();
	row->application_name = shown_string(application_name, NAME_SHOWN, may_be_key,
										 texts->application_name);
	row->client_addr = client_address();
	row->pid = MyProcPid;
	row->backend_start = MyStartTimestamp;
}

static void
describe(const KvAuditCall *call, const char *outcome, Withheld withheld, Texts *texts, KvAuditRow *row)
{
	memset(row, 0, sizeof(*row));
	describe_session(texts, row);
	row->action = call->action;
	row->outcome = outcome;
	row->user_id = call->user_id == NULL ? call->identity :
		shown(call->user_id, KV_USER_ID_MAX, withheld, texts->user_id);
	if (call->owner != NULL && kv_team_is(call->owner))
		row->team_id = shown(call->owner, KV_USER_ID_MAX, NULL, texts->team_id);
	row->provider = shown(call->provider, NAME_SHOWN, NULL, texts->provider);
	row->label = shown(call->label, NAME_SHOWN, withheld, texts->label);
	row->version = call->version;
	row->subject = shown_string(call->subject, sizeof(texts->subject) - 1, withheld, texts->subject);
	row->role = call->role;
}

/* On a standby no table can be written; what the log says is nobody's to chain. */
static void
tell_log(const KvAuditRow *row)
{
	ereport(LOG_SERVER_ONLY,
			(errmsg("key_vault audit: %s, %s", row->action, row->outcome),
			 errdetail_log("User \"%s\", provider \"%s\", label \"%s\", version %d, role \"%s\"%s%s.",
						   row->user_id != NULL ? row->user_id : "",
						   row->provider != NULL ? row->provider : "",
						   row->label != NULL ? row->label : "",
						   row->version, row->role != NULL ? row->role : "",
						   row->sqlstate != NULL ? ", SQLSTATE " : "",
						   row->sqlstate != NULL ? row->sqlstate : ""),
			 errhidestmt(true), errhidecontext(true)));
}

static KvAuditWait
wait_of(const KvAuditCall *call)
{
	if (call->waits_for_no_disk)
		return KV_AUDIT_WAIT_SERVED;
	return kv_setting_audit == KV_AUDIT_DURABLE ? KV_AUDIT_WAIT_WRITTEN : KV_AUDIT_WAIT_WORKER;
}

/* Leaves a record, or waits for those that were left; an error hands out no key. */
static void
leave(const KvAuditCall *call, const KvAuditRow *row, KvAuditWait wait)
{
	char		entry[KV_AUDIT_ENTRY_MAX];

	PG_TRY();
	{
		if (row != NULL)
			kv_audit_ring_leave(entry, kv_audit_record_pack(row, call->forgets, entry), wait,
								kv_setting_audit_timeout);
		else
			kv_audit_ring_settle(wait, kv_setting_audit_timeout);
	}
	PG_CATCH();
	{
		if (call->secret != NULL)
			explicit_bzero(VARDATA(call->secret), VARSIZE(call->secret) - VARHDRSZ);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
leave_or_log(const KvAuditCall *call, const KvAuditRow *row, KvAuditWait wait)
{
	if (RecoveryInProgress())
		tell_log(row);
	else
		leave(call, row, wait);
}

void
kv_audit_done(KvAuditCall *call)
{
	Texts		texts;
	KvAuditRow	row;

	kv_audit_call = call->outer;
	if (call->is_left)
	{
		if (!RecoveryInProgress())
			leave(call, NULL, wait_of(call));
		return;
	}
	describe(call, call->outcome == KV_AUDIT_NONE ? "none" : "ok",
			 call->outcome == KV_AUDIT_NONE ? is_like_key : NULL, &texts, &row);
	leave_or_log(call, &row, wait_of(call));
}

/* A call that opens no key of a user is refused by a keyring that cannot be read, as by all else. */
static const char *
outcome_of_error(const KvAuditCall *call, int sqlerrcode)
{
	if (sqlerrcode == KV_ERRCODE_NOT_FOUND)
		return "none";
	return call->opens && (sqlerrcode == KV_ERRCODE_SEALED || sqlerrcode == KV_ERRCODE_KEYRING) ?
		"unopened" : "refused";
}

void
kv_audit_refused(KvAuditCall *call)
{
	int			sqlerrcode = geterrcode();
	Texts		texts;
	KvAuditRow	row;

	kv_audit_call = call->outer;
	call->forgets = false;
	describe(call, outcome_of_error(call, sqlerrcode), may_be_key, &texts, &row);
	strlcpy(texts.sqlstate, unpack_sql_state(sqlerrcode), sizeof(texts.sqlstate));
	row.sqlstate = texts.sqlstate;
	if (sqlerrcode == ERRCODE_QUERY_CANCELED || sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		sqlerrcode == KV_ERRCODE_AUDIT)
	{
		/* who cancels does not want to wait, and who has waited not again */
		char		entry[KV_AUDIT_ENTRY_MAX];

		if (!RecoveryInProgress())
			(void) kv_audit_ring_try_leave(entry, kv_audit_record_pack(&row, false, entry));
		return;
	}
	leave_or_log(call, &row, wait_of(call));
}

void
kv_audit_guard(void *secret)
{
	if (kv_audit_call != NULL)
		kv_audit_call->secret = secret;
}

void
kv_audit_note_row(const text *owner, int32 version)
{
	if (kv_audit_call == NULL)
		return;
	kv_audit_call->opens = true;
	kv_audit_call->owner = owner;
	kv_audit_call->version = version;
	kv_audit_ring_expect();
}

void
kv_audit_leave_part(const text *user_id, const text *provider, const text *label,
					const text *owner, int32 version, bool opened)
{
	KvAuditCall part;
	Texts		texts;
	KvAuditRow	row;

	if (kv_audit_call == NULL)
		return;
	part = *kv_audit_call;
	part.user_id = user_id;
	part.provider = provider;
	part.label = label;
	part.owner = owner;
	part.version = version;
	kv_audit_call->is_left = true;
	describe(&part, opened ? "ok" : "unopened", NULL, &texts, &row);
	leave_or_log(&part, &row, KV_AUDIT_WAIT_NOT);
}

void
kv_audit_leave_refused_part(const text *user_id, const text *provider, const text *label,
							int sqlerrcode)
{
	KvAuditCall part;
	Texts		texts;
	KvAuditRow	row;

	if (kv_audit_call == NULL)
		return;
	part = *kv_audit_call;
	part.user_id = user_id;
	part.provider = shown_provider(provider);
	part.label = label;
	kv_audit_call->is_left = true;
	describe(&part, outcome_of_error(&part, sqlerrcode), may_be_key, &texts, &row);
	strlcpy(texts.sqlstate, unpack_sql_state(sqlerrcode), sizeof(texts.sqlstate));
	row.sqlstate = texts.sqlstate;
	leave_or_log(&part, &row, KV_AUDIT_WAIT_NOT);
}
