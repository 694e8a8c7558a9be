/*
 * key_looks.c
 *		What a key looks like: prefixes and the mixture of characters, no
 *		dictionaries and no patterns.
 *
 * The figures below were chosen with random keys of 32 hex digits, of 34 letters and
 * of 24 to 48 letters and digits, of which one in a hundred or fewer is missed, and
 * with the 35,000 longest names in PostgreSQL's and OpenSSL's headers, of which three
 * in a thousand would be taken for keys if they had a provider's prefix.
 */
#include <stdint.h>
#include <string.h>

#include "format/key_looks.h"

/* How much of a key is looked at; so long a name has shown itself by then. */
#define LOOKED_AT_MAX	128

/* In runs of letters and digits that are mixed: */
#define MIXED_MIN		13		/* more than the 12 digits of a short hash */
#define CHANGES_MIN		4		/* changes in all of them */
#define MIXED_RUN_MIN	8		/* of the longest, else it may be words like utf8mb4 */
#define LONG_RUN_MIN	16		/* one run that needs fewer changes */

#define UUID_LEN		36

#define JWT_HEADER_MIN	10		/* {"alg":""} has more */
#define JWS_DOTS		2
#define JWE_DOTS		4

typedef enum Kind
{
	OTHER,
	JOINING,					/* stands between the words of a name or a key */
	LOWER,
	UPPER,
	DIGIT
} Kind;

/* A run of letters and digits, and what it shows. */
typedef struct Run
{
	size_t		len;
	Kind		first;
	Kind		last;
	size_t		repeated;		/* how many of the last kind it ends in */
	size_t		number_changes; /* between letters and digits */
	size_t		case_changes;	/* where no word has them */
} Run;

/* What the runs of a text come to. */
typedef struct Mixture
{
	size_t		len;			/* of those that are mixed */
	size_t		changes;
	size_t		longest;
	bool		has_long_run;
} Mixture;

static Kind
kind_of(char character)
{
	if (character >= 'a' && character <= 'z')
		return LOWER;
	if (character >= 'A' && character <= 'Z')
		return UPPER;
	if (character >= '0' && character <= '9')
		return DIGIT;
	if (character != '\0' && strchr("_-.+/=~", character) != NULL)
		return JOINING;
	return OTHER;
}

/* Whether kind_of is not OTHER: this is asked of most bytes of a text. */
static bool
may_be_in_key(char character)
{
#define BIT(c) (UINT64_C(1) << ((c) & 63))
#define BITS(first, last) (BIT(last) + (BIT(last) - BIT(first)))
	static const uint64_t of_keys[] = {
		BIT('+') | BIT('-') | BIT('.') | BIT('/') | BITS('0', '9') | BIT('='),
		BITS('A', 'Z') | BIT('_') | BITS('a', 'z') | BIT('~'), 0, 0
	};
	unsigned char byte = (unsigned char) character;

	return (of_keys[byte >> 6] >> (byte & 63) & 1) != 0;
#undef BIT
#undef BITS
}

static bool
is_alphanumeric(char character)
{
	return kind_of(character) >= LOWER;
}

static bool
is_base64url(char character)
{
	return is_alphanumeric(character) || character == '-' || character == '_';
}

static bool
is_hex(char character)
{
	return kind_of(character) == DIGIT || (character >= 'a' && character <= 'f') ||
		(character >= 'A' && character <= 'F');
}

static void
extend_run(Run *run, Kind kind)
{
	if (run->len == 0)
		run->first = kind;
	else if (kind != run->last)
	{
		if (kind == DIGIT || run->last == DIGIT)
			run->number_changes++;
		/* nameOf and HTTPServer are words; aBc and ABc may be, now and then */
		else if (run->last == LOWER ? run->repeated <= 2 : run->repeated >= 2)
			run->case_changes++;
		run->repeated = 0;
	}
	run->last = kind;
	run->repeated++;
	run->len++;
}

/* Adds a run that has ended, and begins a new one. */
static void
end_run(Run *run, Mixture *mixture)
{
	size_t		changes = run->number_changes + run->case_changes;

	/* One change has step2, 2nd and AQuery */
	if (changes >= 2)
	{
		mixture->len += run->len;
		mixture->changes += changes;
		if (run->len > mixture->longest)
			mixture->longest = run->len;
	}
	if (run->len >= LONG_RUN_MIN &&
		(run->number_changes >= 2 || (run->number_changes == 1 && run->first == DIGIT)))
		mixture->has_long_run = true;
	*run = (Run){0};
}

/* Whether letters and digits are mixed as in no name.  Looks no farther than the key. */
static bool
is_mixed(const char *text, size_t len)
{
	Mixture		mixture = {0};
	Run			run = {0};

	for (size_t i = 0; i < len && i < LOOKED_AT_MAX; i++)
	{
		Kind		kind = kind_of(text[i]);

		if (kind == OTHER)
			break;
		if (kind == JOINING)
			end_run(&run, &mixture);
		else
			extend_run(&run, kind);
	}
	end_run(&run, &mixture);
	return mixture.has_long_run ||
		(mixture.len >= MIXED_MIN && mixture.changes >= CHANGES_MIN &&
		 mixture.longest >= MIXED_RUN_MIN);
}

/* How many of a key's characters the text begins with, counted up to max. */
static size_t
characters_of_key(const char *text, size_t len, size_t max)
{
	size_t		count = 0;

	while (count < len && count < max && may_be_in_key(text[count]))
		count++;
	return count;
}

bool
kv_looks_like_uuid(const char *text, size_t len)
{
	if (characters_of_key(text, len, UUID_LEN + 1) != UUID_LEN)
		return false;
	for (size_t i = 0; i < UUID_LEN; i++)
	{
		bool		is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return true;
}

static bool
begins_with(const char *text, size_t len, const KvKeyPrefix *prefix)
{
	return prefix->len >= KV_KEY_PREFIX_MIN && prefix->len <= KV_KEY_PREFIX_MAX &&
		prefix->len <= len && memcmp(text, prefix->text, prefix->len) == 0;
}

bool
kv_has_key_prefix(const char *text, size_t len, const KvKeyPrefix *prefixes, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (begins_with(text, len, &prefixes[i]))
			return true;
	}
	return false;
}

bool
kv_looks_like_key(const char *text, size_t len, const KvKeyPrefix *prefixes, int count)
{
	if (len < KV_LOOKS_MIN)
		return false;
	for (int i = 0; i < count; i++)
	{
		size_t		prefix_len = prefixes[i].len;
		size_t		needed = prefix_len > KV_LOOKS_MIN ? prefix_len : KV_LOOKS_MIN;

		if (begins_with(text, len, &prefixes[i]) &&
			characters_of_key(text, len, needed) == needed &&
			is_mixed(text + prefix_len, len - prefix_len))
			return !kv_looks_like_uuid(text, len);
	}
	return false;
}

bool
kv_looks_mixed(const char *text, size_t len)
{
	return characters_of_key(text, len, KV_LOOKS_MIN) == KV_LOOKS_MIN && is_mixed(text, len);
}

/* Whether what stands before a position is written as an escape: \n, %20, \u0022. */
static bool
ends_escape(const char *text, size_t at)
{
	if (at >= 2 && text[at - 2] == '\\' && strchr("abfnrtv0", text[at - 1]) != NULL)
		return true;
	if (at >= 3 && text[at - 3] == '%' && is_hex(text[at - 2]) && is_hex(text[at - 1]))
		return true;
	return at >= 6 && text[at - 6] == '\\' && text[at - 5] == 'u' &&
		is_hex(text[at - 4]) && is_hex(text[at - 3]) &&
		is_hex(text[at - 2]) && is_hex(text[at - 1]);
}

static bool
may_begin(const char *text, size_t at)
{
	return at == 0 || !is_alphanumeric(text[at - 1]) || ends_escape(text, at);
}

bool
kv_next_long_run(const char *text, size_t len, size_t *at, size_t *end)
{
	size_t		begin = *at;

	while (begin <= len && len - begin >= KV_LOOKS_MIN)
	{
		size_t		i = begin + KV_LOOKS_MIN;

		/* what does not fit between here and there is passed over unread */
		while (i > begin && may_be_in_key(text[i - 1]))
			i--;
		if (i == begin)
		{
			*at = begin;
			*end = begin + characters_of_key(text + begin, len - begin, len);
			return true;
		}
		begin = i;
	}
	return false;
}

bool
kv_find_key(const char *text, size_t len, size_t from, const KvKeyPrefix *prefixes, int count,
			size_t *start, size_t *key_len)
{
	bool		begins_prefix[256] = {false};
	size_t		end;

	for (int i = 0; i < count; i++)
	{
		if (prefixes[i].len > 0)
			begins_prefix[(unsigned char) prefixes[i].text[0]] = true;
	}
	for (; kv_next_long_run(text, len, &from, &end); from = end)
	{
		for (size_t i = from; end - i >= KV_LOOKS_MIN; i++)
		{
			if (!begins_prefix[(unsigned char) text[i]] || !may_begin(text, i) ||
				!kv_looks_like_key(text + i, end - i, prefixes, count))
				continue;
			*start = i;
			*key_len = end - i;
			while (text[i + *key_len - 1] == '.')
				(*key_len)--;
			return true;
		}
	}
	return false;
}

/* The end of the base64url that the text has from a position on. */
static size_t
base64url_end(const char *text, size_t len, size_t at)
{
	while (at < len && is_base64url(text[at]))
		at++;
	return at;
}

/*
 * Takes a token that begins at a position: *end is where it ends, or, when there is
 * none, as far as none begins.
 */
static bool
take_jwt(const char *text, size_t len, size_t start, size_t *end)
{
	size_t		dots = 0;

	*end = base64url_end(text, len, start);
	if (*end - start < JWT_HEADER_MIN)
		return false;
	while (dots < JWE_DOTS && *end < len && text[*end] == '.')
	{
		*end = base64url_end(text, len, *end + 1);
		dots++;
	}
	return dots >= JWS_DOTS && *end - start >= KV_LOOKS_MIN;
}

bool
kv_looks_like_jwt(const char *text, size_t len)
{
	size_t		end;

	return len >= KV_LOOKS_MIN && memcmp(text, "eyJ", 3) == 0 && take_jwt(text, len, 0, &end);
}

bool
kv_find_jwt(const char *text, size_t len, size_t from, size_t *start, size_t *jwt_len)
{
	size_t		run_end;

	for (; kv_next_long_run(text, len, &from, &run_end); from = run_end)
	{
		size_t		end;

		for (size_t at = from; run_end - at >= KV_LOOKS_MIN; at = end)
		{
			end = at + 1;
			if (text[at] != 'e' || memcmp(text + at, "eyJ", 3) != 0 || !may_begin(text, at) ||
				!take_jwt(text, run_end, at, &end))
				continue;
			*start = at;
			*jwt_len = end - at;
			return true;
		}
	}
	return false;
}
