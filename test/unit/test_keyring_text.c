/*
 * test_keyring_text.c
 *		The keyring as text: what is read, what is refused, and on which line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/root_key.h"
#include "format/base64.h"
#include "format/keyring_text.h"
#include "format/rfc3339.h"
#include "tap.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "//////////////////////////////////////////8="
#define ID_A "0011223344556677"
#define ID_B "8899aabbccddeeff"
#define TIME "2026-01-31T23:59:59Z"
#define TIME_SECONDS INT64_C(1769903999)

/* Parses a copy of exactly len bytes, so that a read past its end is seen. */
static KvStatus
parse_bytes(const char *text, size_t len, KvKeyringEntry *entries, size_t capacity,
			size_t *count, size_t *line)
{
	char	   *copy = malloc(len);
	KvStatus	status;

	memcpy(copy, text, len);
	status = kv_keyring_parse(copy, len, entries, capacity, count, line);
	check(*count <= kv_keyring_max_entries(copy, len));
	check((status == KV_OK) == (*line == 0));
	check(status == KV_OK || *count == 0);
	free(copy);
	return status;
}

static void
reads(const char *text, size_t expected)
{
	KvKeyringEntry entries[4];
	size_t		count;
	size_t		line;

	require(parse_bytes(text, strlen(text), entries, 4, &count, &line) == KV_OK);
	require(count == expected);
	for (size_t i = 0; i < count; i++)
	{
		for (int j = 0; j < 32; j++)
			check(entries[i].key[j] == (i == 0 ? j : 0xff));
		check(entries[i].created_at == TIME_SECONDS);
		check(entries[i].id[0] == (i == 0 ? 0x00 : 0x88));
		check(entries[i].id[7] == (i == 0 ? 0x77 : 0xff));
		check(entries[i].line > i);
	}
}

static void
refuses_bytes(const char *text, size_t len, KvStatus expected, size_t expected_line)
{
	static const KvKeyringEntry zero[4];
	KvKeyringEntry entries[4] = {{.line = 0}};
	size_t		count;
	size_t		line;

	check(parse_bytes(text, len, entries, 4, &count, &line) == expected);
	check(line == expected_line);
	/* No key stays after a failure */
	for (int i = 0; i < 4; i++)
		check(memcmp(entries[i].key, zero[i].key, 32) == 0);
}

static void
refuses(const char *text, KvStatus expected, size_t expected_line)
{
	refuses_bytes(text, strlen(text), expected, expected_line);
}

static void
good_keyrings(void)
{
	reads("", 0);
	reads("\n\n", 0);
	reads("# only a comment", 0);
	reads(ID_A " " KEY_A " " TIME "\n", 1);
	reads(ID_A " " KEY_A " " TIME, 1);
	reads(ID_A " " KEY_A " " TIME "\r\n", 1);
	reads(ID_A " " KEY_A " " TIME "\r", 1);
	reads(" \t" ID_A "\t  " KEY_A " \t" TIME " \t \n", 1);
	reads("# head\n\n" ID_A " " KEY_A " " TIME " # of app\n   # middle\n"
		  ID_B " " KEY_B " " TIME " #\n\n# tail", 2);
	reads("# head\r\n\r\n" ID_A " " KEY_A " " TIME " # of app\r\n"
		  ID_B " " KEY_B " " TIME "\r\n", 2);
	reads(ID_A " " KEY_A " " TIME " #no blank after the sign\n", 1);
	reads("\xef\xbb\xbf", 0);
	reads("\xef\xbb\xbf" ID_A " " KEY_A " " TIME "\n", 1);
	reads("\xef\xbb\xbf# head\r\n" ID_A " " KEY_A " " TIME "\r\n"
		  ID_B " " KEY_B " " TIME, 2);
	reads(ID_A " " KEY_A " 2026-02-01T01:29:59.25+01:30\n"
		  ID_B " " KEY_B " 2026-01-31T00:00:59-23:59\n", 2);
}

static void
entries_know_their_line(void)
{
	static const char text[] = "# head\n" ID_A " " KEY_A " " TIME "\n\n"
		ID_B " " KEY_B " " TIME "\n";
	KvKeyringEntry entries[2];
	size_t		count;
	size_t		line;

	require(parse_bytes(text, strlen(text), entries, 2, &count, &line) == KV_OK);
	require(count == 2);
	check(entries[0].line == 2);
	check(entries[1].line == 4);
}

/* What a comment tells of who made the root key, read and written again. */
static void
maker_is(const char *comment, uint64_t cluster, uint32_t database, uint32_t extension)
{
	KvKeyringEntry entry;
	char		text[512];
	size_t		count;
	size_t		line;
	size_t		len;

	snprintf(text, sizeof(text), ID_A " " KEY_A " " TIME "%s\r\n", comment);
	require(parse_bytes(text, strlen(text), &entry, 1, &count, &line) == KV_OK && count == 1);
	check(entry.maker.cluster == cluster && entry.maker.database == database &&
		  entry.maker.extension == extension);

	require(kv_keyring_format_line(&entry, "database \"a [1/2/3]\"", text, sizeof(text), &len) == KV_OK);
	require(parse_bytes(text, len, &entry, 1, &count, &line) == KV_OK && count == 1);
	check(entry.maker.cluster == cluster && entry.maker.database == database &&
		  entry.maker.extension == extension);
	if (cluster == 0)
		check(strcmp(text, ID_A " " KEY_A " " TIME " # database \"a [1/2/3]\"\n") == 0);
}

static void
comments_tell_who_made_the_key(void)
{
	static const char expected[] =
		ID_B " " KEY_B " " TIME " # database \"b\" [18446744073709551615/4294967295/4294967294]\n";
	KvKeyringEntry entry = {
		.id = {0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		.created_at = TIME_SECONDS,
		.maker = {UINT64_MAX, UINT32_MAX, UINT32_MAX - 1}
	};
	char		out[256];
	size_t		len;

	maker_is(" # database \"a\" [7301234567890123456/16384/16390]", UINT64_C(7301234567890123456), 16384, 16390);
	maker_is(" # [1/2/3] \t ", 1, 2, 3);
	maker_is("\t#\t[18446744073709551615/4294967295/4294967295]", UINT64_MAX, UINT32_MAX, UINT32_MAX);
	maker_is(" # database \"[1/2/3]\" [3/4/5]", 3, 4, 5);
	maker_is(" # [001/0/0]", 1, 0, 0);

	maker_is("", 0, 0, 0);
	maker_is(" #", 0, 0, 0);
	maker_is(" # [1/2/3] of app", 0, 0, 0);
	maker_is(" #[1/2/3]", 0, 0, 0);
	maker_is(" # x[1/2/3]", 0, 0, 0);
	maker_is(" # [1/2/3]x", 0, 0, 0);
	maker_is(" # [1/2/3", 0, 0, 0);
	maker_is(" # 1/2/3]", 0, 0, 0);
	maker_is(" # [1/2]", 0, 0, 0);
	maker_is(" # [1/2/3/4]", 0, 0, 0);
	maker_is(" # [1,2,3]", 0, 0, 0);
	maker_is(" # [1/2/]", 0, 0, 0);
	maker_is(" # [1//3]", 0, 0, 0);
	maker_is(" # [/2/3]", 0, 0, 0);
	maker_is(" # [0/2/3]", 0, 0, 0);
	maker_is(" # [-1/2/3]", 0, 0, 0);
	maker_is(" # [1/ 2/3]", 0, 0, 0);
	maker_is(" # [18446744073709551616/2/3]", 0, 0, 0);
	maker_is(" # [18446744073709551620/2/3]", 0, 0, 0);
	maker_is(" # [1/4294967296/3]", 0, 0, 0);
	maker_is(" # [1/2/42949672960]", 0, 0, 0);

	/* It needs room, and not a byte more */
	memset(entry.key, 0xff, sizeof(entry.key));
	for (size_t size = 0; size <= strlen(expected); size++)
		check(kv_keyring_format_line(&entry, "database \"b\"", out, size, &len) == KV_TOO_LARGE);
	require(kv_keyring_format_line(&entry, "database \"b\"", out, strlen(expected) + 1, &len) == KV_OK);
	check(strcmp(out, expected) == 0 && len == strlen(expected));
	check(kv_keyring_format_line(&entry, NULL, out, sizeof(out), &len) == KV_OK);
	check(strcmp(out, ID_B " " KEY_B " " TIME " #  [18446744073709551615/4294967295/4294967294]\n") == 0);
}

static void
bad_lines_are_told_by_number(void)
{
	refuses("x\n", KV_SYNTAX, 1);
	refuses(ID_A "\n", KV_SYNTAX, 1);
	refuses("\n" ID_A " " KEY_A "\n", KV_SYNTAX, 2);
	refuses(ID_A " " KEY_A " # no time\n", KV_SYNTAX, 1);
	refuses(ID_A " " KEY_A " " TIME " more\n", KV_SYNTAX, 1);
	refuses(ID_A " " KEY_A " " TIME "#glued\n", KV_BAD_TIME, 1);
	refuses(ID_A "," KEY_A "," TIME "\n", KV_SYNTAX, 1);
	refuses("0011223344556677a " KEY_A " " TIME "\n", KV_SYNTAX, 1);
	refuses("001122334455667 " KEY_A " " TIME "\n", KV_SYNTAX, 1);
	refuses("00112233445566FF " KEY_A " " TIME "\n", KV_SYNTAX, 1);
	refuses(ID_A " " KEY_A " " TIME "\r\r\n", KV_SYNTAX, 1);
	refuses("# a\rb\n", KV_SYNTAX, 1);
	refuses(ID_A " " KEY_A "\r" TIME "\n", KV_SYNTAX, 1);
	/* A byte order mark: in the middle, twice, cut, and those of UTF-16 */
	refuses("\n\xef\xbb\xbf" ID_A " " KEY_A " " TIME "\n", KV_SYNTAX, 2);
	refuses("\xef\xbb\xbf\xef\xbb\xbf" ID_A " " KEY_A " " TIME "\n", KV_SYNTAX, 1);
	refuses("\xef\xbb" ID_A " " KEY_A " " TIME "\n", KV_SYNTAX, 1);
	refuses("\xff\xfe#\n", KV_SYNTAX, 1);
	refuses_bytes("\xff\xfe#\0\n\0", 6, KV_SYNTAX, 1);
	refuses(ID_A " " KEY_A " " TIME "\n" ID_B " x " TIME "\n", KV_BAD_KEY, 2);
	refuses_bytes("# a\n\0\n", 6, KV_SYNTAX, 2);
	refuses_bytes("# a\0b\n", 6, KV_SYNTAX, 1);
	refuses_bytes(ID_A " " KEY_A " " TIME "\n\0", 84, KV_SYNTAX, 2);
}

static void
a_key_has_one_spelling(void)
{
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9= " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+= " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8== " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh88 " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg== " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoL-A0ODxAREhMUFRYXGBkaGxwdHh8= " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " AAECAwQFBgcICQoL=A0ODxAREhMUFRYXGBkaGxwdHh8= " TIME, KV_BAD_KEY, 1);
	refuses(ID_A " =AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= " TIME, KV_BAD_KEY, 1);
}

/* Every byte value at every place of the digits, against a table. */
static void
base64_digits_are_exactly_the_64(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t		key[32];
	char		text[KV_BASE64_KEY_LEN];
	char		again[KV_BASE64_KEY_LEN];

	for (int place = 0; place < KV_BASE64_KEY_LEN; place++)
	{
		for (int c = 0; c < 256; c++)
		{
			const char *digit = c != 0 ? strchr(alphabet, c) : NULL;
			bool		good = place == KV_BASE64_KEY_LEN - 1 ? c == '=' : digit != NULL;

			/* The last digit's two spare bits */
			if (place == KV_BASE64_KEY_LEN - 2 && good && (digit - alphabet) % 4 != 0)
				good = false;
			memcpy(text, KEY_B, sizeof(text));
			text[place] = (char) c;
			check(kv_base64_decode_key(text, sizeof(text), key) == good);
			kv_base64_encode_key(key, again);
			if (good)
				check(memcmp(text, again, sizeof(text)) == 0);
			else
				check(memcmp(again, "AAAAAAAA", 8) == 0);
		}
	}
}

static void
time_is(const char *text, int64_t expected)
{
	int64_t		seconds;

	check(kv_rfc3339_parse(text, strlen(text), &seconds) && seconds == expected);
}

static void
time_is_bad(const char *text)
{
	int64_t		seconds;

	check(!kv_rfc3339_parse(text, strlen(text), &seconds));
}

static void
times(void)
{
	time_is("1970-01-01T00:00:00Z", 0);
	time_is("1969-12-31T23:59:59Z", -1);
	time_is("2000-02-29T12:00:00Z", 951825600);
	time_is("2000-02-29T12:00:00.999999999Z", 951825600);
	time_is("2000-02-29T14:00:00+02:00", 951825600);
	time_is("2000-02-29T06:30:00.5-05:30", 951825600);
	time_is("2000-02-29T12:00:00-00:00", 951825600);
	time_is("2400-02-29T00:00:00Z", INT64_C(13574563200));
	time_is("0000-01-01T00:00:00Z", INT64_C(-62167219200));
	time_is("9999-12-31T23:59:59Z", INT64_C(253402300799));

	time_is_bad("");
	time_is_bad("2026-01-31T23:59:59");
	time_is_bad("2026-01-31 23:59:59Z");
	time_is_bad("2026-01-31t23:59:59Z");
	time_is_bad("2026-01-31T23:59:59z");
	time_is_bad("2026-01-31T23:59Z");
	time_is_bad("2026-1-31T23:59:59Z");
	time_is_bad("26-01-31T23:59:59Z");
	time_is_bad("12026-01-31T23:59:59Z");
	time_is_bad("+026-01-31T23:59:59Z");
	time_is_bad("2026-00-31T23:59:59Z");
	time_is_bad("2026-13-31T23:59:59Z");
	time_is_bad("2026-01-00T23:59:59Z");
	time_is_bad("2026-01-32T23:59:59Z");
	time_is_bad("2026-04-31T23:59:59Z");
	time_is_bad("2026-02-29T23:59:59Z");
	time_is_bad("1900-02-29T23:59:59Z");
	time_is_bad("2026-01-31T24:00:00Z");
	time_is_bad("2026-01-31T23:60:00Z");
	time_is_bad("2026-01-31T23:59:60Z");
	time_is_bad("2026-01-31T23:59:59.Z");
	time_is_bad("2026-01-31T23:59:59,5Z");
	time_is_bad("2026-01-31T23:59:59+02");
	time_is_bad("2026-01-31T23:59:59+0200");
	time_is_bad("2026-01-31T23:59:59+24:00");
	time_is_bad("2026-01-31T23:59:59+00:60");
	time_is_bad("2026-01-31T23:59:59ZZ");
	time_is_bad("2026-01-31T23:59:59Z+00:00");
}

static void
times_are_read_as_they_are_written(void)
{
	char		text[KV_RFC3339_LEN];
	int64_t		seconds;

	/* A prime step, so that all days of the year and of the era come by */
	for (int64_t t = INT64_C(-62167219200); t <= INT64_C(253402300799); t += 3456791)
	{
		check(kv_rfc3339_format(t, text));
		check(kv_rfc3339_parse(text, sizeof(text), &seconds) && seconds == t);
	}
	check(kv_rfc3339_format(951782400, text));
	check(memcmp(text, "2000-02-29T00:00:00Z", sizeof(text)) == 0);
	check(!kv_rfc3339_format(INT64_C(-62167219201), text));
	check(!kv_rfc3339_format(INT64_C(253402300800), text));
	check(!kv_rfc3339_format(INT64_MIN, text));
	check(!kv_rfc3339_format(INT64_MAX, text));
}

static void
an_id_may_stand_there_once(void)
{
	refuses(ID_A " " KEY_A " " TIME "\n" ID_A " " KEY_A " " TIME "\n", KV_DUPLICATE, 2);
	refuses("# x\n" ID_A " " KEY_A " " TIME "\n\n" ID_B " " KEY_B " " TIME "\n"
			ID_A " " KEY_B " " TIME "\n" ID_B " " KEY_B " " TIME "\n", KV_DUPLICATE, 5);
	/* The first line that repeats one, whichever id sorts first */
	refuses(ID_B " " KEY_B " " TIME "\n" ID_A " " KEY_A " " TIME "\n"
			ID_B " " KEY_B " " TIME "\n" ID_A " " KEY_B " " TIME "\n", KV_DUPLICATE, 3);
}

static void
more_than_there_is_room_for(void)
{
	static const char text[] = ID_A " " KEY_A " " TIME "\n" ID_B " " KEY_B " " TIME "\n";
	KvKeyringEntry entries[2];
	size_t		count;
	size_t		line;

	check(kv_keyring_parse(text, strlen(text), entries, 1, &count, &line) == KV_TOO_LARGE);
	check(line == 2 && count == 0);
	check(kv_keyring_parse(text, strlen(text), NULL, 0, &count, &line) == KV_TOO_LARGE);
	check(kv_keyring_parse(NULL, 0, NULL, 0, &count, &line) == KV_OK);
	check(kv_keyring_max_entries(text, strlen(text)) == 2);
	check(kv_keyring_max_entries(text, strlen(text) - 1) == 2);
	check(kv_keyring_max_entries(text, 0) == 0);
}

/* Two real keys with their ids, and where the line of the first ends. */
static void
real_keyring(char text[static 512], size_t *first_line_len, size_t *len)
{
	KvKeyringEntry entry = {.created_at = TIME_SECONDS};
	size_t		line_len;

	*len = 0;
	for (int i = 0; i < 2; i++)
	{
		for (int j = 0; j < 32; j++)
			entry.key[j] = (uint8_t) (i * 100 + j * 3);
		check(kv_root_key_id(entry.key, entry.id) == KV_OK);
		check(kv_keyring_format_line(&entry, i == 0 ? "made for app" : NULL,
									 text + *len, 512 - *len, &line_len) == KV_OK);
		*len += line_len;
		if (i == 0)
			*first_line_len = line_len;
	}
}

static void
every_truncation_inside_a_line_is_found(void)
{
	/* Where the first line's time ends: id, blank, key, blank, time */
	const size_t whole = 16 + 1 + 44 + 1 + 20;
	char		text[512];
	size_t		first_line_len;
	size_t		len;

	real_keyring(text, &first_line_len, &len);
	for (size_t cut = 0; cut <= len; cut++)
	{
		KvKeyringEntry entries[2];
		size_t		count;
		size_t		line;
		KvStatus	status = parse_bytes(text, cut, entries, 2, &count, &line);
		bool		complete = cut == 0 || (cut >= whole && cut <= first_line_len) ||
			cut >= len - 1;

		check((status == KV_OK) == complete);
		if (complete)
			check(count == (cut == 0 ? 0 : cut >= len - 1 ? 2 : 1));
		else
			check(line == (cut < whole ? 1 : 2));
	}
}

/* A changed byte never makes another key that goes by the same id. */
static void
every_changed_byte_is_found_or_harmless(void)
{
	char		text[512];
	size_t		first_line_len;
	size_t		len;
	KvKeyringEntry good[2];
	size_t		count;
	size_t		line;

	real_keyring(text, &first_line_len, &len);
	require(parse_bytes(text, len, good, 2, &count, &line) == KV_OK);
	require(count == 2);

	for (size_t place = 0; place < len; place++)
	{
		char		original = text[place];

		for (int c = 0; c < 256; c++)
		{
			KvKeyringEntry entries[4];

			text[place] = (char) c;
			if (parse_bytes(text, len, entries, 4, &count, &line) != KV_OK)
				continue;
			for (size_t i = 0; i < count; i++)
			{
				uint8_t		id[8];

				check(kv_root_key_id(entries[i].key, id) == KV_OK);
				if (memcmp(id, entries[i].id, 8) == 0)
					check(memcmp(entries[i].key, good[0].key, 32) == 0 ||
						  memcmp(entries[i].key, good[1].key, 32) == 0);
			}
		}
		text[place] = original;
	}
}

static void
ten_thousand_lines(void)
{
	const size_t lines = 10000;
	const size_t size = lines * 100;
	char	   *text = malloc(size);
	KvKeyringEntry *entries = malloc((lines + 1) * sizeof(*entries));
	KvKeyringEntry entry = {.created_at = TIME_SECONDS};
	size_t		len = 0;
	size_t		line_len;
	size_t		count;
	size_t		line;

	for (size_t i = 0; i < lines; i++)
	{
		entry.id[0] = (uint8_t) (i * 7);
		entry.id[6] = (uint8_t) (i >> 8);
		entry.id[7] = (uint8_t) i;
		check(kv_keyring_format_line(&entry, NULL, text + len, size - len,
									 &line_len) == KV_OK);
		len += line_len;
	}
	check(kv_keyring_max_entries(text, len) == lines);
	check(kv_keyring_parse(text, len, entries, lines, &count, &line) == KV_OK);
	check(count == lines);
	check(entries[lines - 1].line == lines);

	/* The last one once more */
	check(kv_keyring_format_line(&entry, NULL, text + len, size - len,
								 &line_len) == KV_OK);
	len += line_len;
	check(kv_keyring_parse(text, len, entries, lines + 1, &count, &line) == KV_DUPLICATE);
	check(line == lines + 1);
	free(text);
	free(entries);
}

static void
a_line_is_written_as_it_is_read(void)
{
	static const char expected[] = ID_B " " KEY_B " " TIME " # of app?DROP?\xc3\xa9?\n";
	KvKeyringEntry entry = {
		.id = {0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		.created_at = TIME_SECONDS
	};
	char		out[256];
	size_t		len;

	memset(entry.key, 0xff, sizeof(entry.key));
	require(kv_keyring_format_line(&entry, "of app\nDROP\r\xc3\xa9\x7f", out, sizeof(out),
								   &len) == KV_OK);
	check(len == strlen(expected) && strcmp(out, expected) == 0);

	/* It needs room for its NUL, and not a byte more */
	memset(out, 'x', sizeof(out));
	check(kv_keyring_format_line(&entry, "of app\nDROP\r\xc3\xa9\x7f", out,
								 strlen(expected) + 1, &len) == KV_OK);
	check(out[strlen(expected) + 1] == 'x');
	for (size_t size = 0; size <= strlen(expected); size++)
	{
		memset(out, 'x', sizeof(out));
		check(kv_keyring_format_line(&entry, "of app\nDROP\r\xc3\xa9\x7f", out, size,
									 &len) == KV_TOO_LARGE);
		check(len == 0 && out[0] == 'x');
	}
	check(kv_keyring_format_line(&entry, NULL, out, 84, &len) == KV_OK);
	check(strcmp(out, ID_B " " KEY_B " " TIME "\n") == 0 && len == 83);
	check(kv_keyring_format_line(&entry, NULL, out, 83, &len) == KV_TOO_LARGE);
	check(kv_keyring_format_line(&entry, "", out, sizeof(out), &len) == KV_OK);
	check(strcmp(out, ID_B " " KEY_B " " TIME " # \n") == 0);

	entry.created_at = INT64_MAX;
	check(kv_keyring_format_line(&entry, NULL, out, sizeof(out), &len) == KV_BAD_TIME);
}

int
main(void)
{
	run(good_keyrings);
	run(entries_know_their_line);
	run(comments_tell_who_made_the_key);
	run(bad_lines_are_told_by_number);
	run(a_key_has_one_spelling);
	run(base64_digits_are_exactly_the_64);
	run(times);
	run(times_are_read_as_they_are_written);
	run(an_id_may_stand_there_once);
	run(more_than_there_is_room_for);
	run(every_truncation_inside_a_line_is_found);
	run(every_changed_byte_is_found_or_harmless);
	run(ten_thousand_lines);
	run(a_line_is_written_as_it_is_read);
	return finish();
}
