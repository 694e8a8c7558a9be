/*
 * record.c
 *		A record of the audit: as bytes on its way to the worker, and as a link of the
 *		chain.
 *
 * Codes are over UTF-8, whatever the database's encoding, so that the chain verifies after a
 * restore into another one.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "vault/audit/record.h"

#define TEXTS 11
#define CODED_TEXTS 9			/* not the last two: their hashes are */
#define RECORD_TAG "key_vault audit record v1"
#define USER_TAG "key_vault audit user v1"
#define CHECKPOINT_TAG "key_vault audit checkpoint v1"

/* What a record begins with on its way; its texts follow, each with its NUL. */
typedef struct Head
{
	TimestampTz at;
	TimestampTz backend_start;
	int32		version;
	int32		pid;
	uint16		is_there;		/* a bit for each text */
	bool		without_user;
} Head;

/* The texts of a record, in the order in which they are packed and coded. */
static void
texts_of(KvAuditRow *row, const char **texts[TEXTS])
{
	texts[0] = &row->action;
	texts[1] = &row->outcome;
	texts[2] = &row->provider;
	texts[3] = &row->label;
	texts[4] = &row->subject;
	texts[5] = &row->role;
	texts[6] = &row->application_name;
	texts[7] = &row->client_addr;
	texts[8] = &row->sqlstate;
	texts[9] = &row->user_id;
	texts[10] = &row->team_id;
}

Size
kv_audit_record_pack(const KvAuditRow *row, bool without_user, char *bytes)
{
	Head		head = {.at = row->at, .backend_start = row->backend_start,
		.version = row->version, .pid = row->pid, .without_user = without_user};
	KvAuditRow	copy = *row;
	const char **texts[TEXTS];
	Size		len = sizeof(head);

	texts_of(&copy, texts);
	for (int i = 0; i < TEXTS; i++)
	{
		Size		text_len;

		if (*texts[i] == NULL)
			continue;
		head.is_there |= 1 << i;
		text_len = strlen(*texts[i]) + 1;
		Assert(len + text_len <= KV_AUDIT_ENTRY_MAX);
		memcpy(bytes + len, *texts[i], text_len);
		len += text_len;
	}
	memcpy(bytes, &head, sizeof(head));
	return len;
}

void
kv_audit_record_unpack(const char *bytes, KvAuditRow *row, bool *without_user)
{
	Head		head;
	const char **texts[TEXTS];

	memcpy(&head, bytes, sizeof(head));
	bytes += sizeof(head);
	memset(row, 0, sizeof(*row));
	row->at = head.at;
	row->backend_start = head.backend_start;
	row->version = head.version;
	row->pid = head.pid;
	*without_user = head.without_user;
	texts_of(row, texts);
	for (int i = 0; i < TEXTS; i++)
	{
		if ((head.is_there & (1 << i)) == 0)
			continue;
		*texts[i] = bytes;
		bytes += strlen(bytes) + 1;
	}
}

/* A text without a UTF-8 form is coded as it is. */
static KvChainField
text_field(const char *value)
{
	KvChainField field = {value, value != NULL ? strlen(value) : 0};
	const char *utf8;
	int			len;

	if (value == NULL || GetDatabaseEncoding() == PG_UTF8)
		return field;
	utf8 = kv_try_to_utf8(value, (int) field.len, &len);
	return utf8 != NULL ? (KvChainField){utf8, (size_t) len} : field;
}

static void
put_int64(uint8 bytes[8], int64 value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8) ((uint64) value >> (56 - 8 * i));
}

static void
check(KvStatus status)
{
	if (status != KV_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not chain an audit record"),
				 errdetail("Reason: %s.", kv_status_text(status))));
}

void
kv_audit_user_hash(KvChainMac *mac, const char *user_id, uint8 hash[KV_AUDIT_HASH_BYTES])
{
	KvChainField field = text_field(user_id);
	uint8		whole[KV_CHAIN_MAC_LEN];

	check(kv_chain_mac(mac, USER_TAG, &field, 1, whole));
	memcpy(hash, whole, KV_AUDIT_HASH_BYTES);
}

void
kv_audit_record_mac(KvChainMac *mac, const uint8 before[KV_AUDIT_MAC_BYTES],
					const KvAuditRow *row, uint8 result[KV_AUDIT_MAC_BYTES])
{
	int64		numbers[] = {row->number, row->at, row->version, row->pid, row->backend_start};
	uint8		bytes[lengthof(numbers)][8];
	KvChainField fields[3 + lengthof(numbers) + CODED_TEXTS];
	int			count = 0;
	KvAuditRow	copy = *row;
	const char **texts[TEXTS];

	fields[count++] = (KvChainField){before, KV_AUDIT_MAC_BYTES};
	fields[count++] = (KvChainField){row->has_user_hash ? row->user_hash : NULL, KV_AUDIT_HASH_BYTES};
	fields[count++] = (KvChainField){row->has_team_hash ? row->team_hash : NULL, KV_AUDIT_HASH_BYTES};
	for (int i = 0; i < (int) lengthof(numbers); i++)
	{
		put_int64(bytes[i], numbers[i]);
		fields[count++] = (KvChainField){bytes[i], 8};
	}
	texts_of(&copy, texts);
	for (int i = 0; i < CODED_TEXTS; i++)
		fields[count++] = text_field(*texts[i]);
	check(kv_chain_mac(mac, RECORD_TAG, fields, count, result));
}

void
kv_audit_checkpoint_seal(KvChainMac *mac, const KvAuditCheckpoint *checkpoint,
						 uint8 seal[KV_AUDIT_MAC_BYTES])
{
	int64		numbers[] = {checkpoint->number, checkpoint->at};
	uint8		bytes[lengthof(numbers)][8];
	KvChainField fields[] = {{checkpoint->mac, KV_AUDIT_MAC_BYTES}, {bytes[0], 8}, {bytes[1], 8}};

	for (int i = 0; i < (int) lengthof(numbers); i++)
		put_int64(bytes[i], numbers[i]);
	check(kv_chain_mac(mac, CHECKPOINT_TAG, fields, lengthof(fields), seal));
}
