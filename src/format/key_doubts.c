/*
 * key_doubts.c
 *		Masks, documents and characters that no key has.
 */
#include <string.h>

#include "format/key_doubts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MASK_MIN 3				/* stars or dots: fewer may be part of a key */

/* A character that masks others, and how many it counts for. */
typedef struct MaskCharacter
{
	const char *utf8;
	size_t		weight;
} MaskCharacter;

static const MaskCharacter mask_characters[] = {
	{"*", 1},
	{".", 1},
	{"\xe2\x80\xa2", 1},		/* bullet, U+2022 */
	{"\xe2\x80\xa6", MASK_MIN}, /* ellipsis, U+2026 */
	{"\xe2\x97\x8f", 1},		/* black circle, U+25CF */
	{"\xe2\x88\x97", 1},		/* asterisk operator, U+2217 */
	{"\xe2\x88\x99", 1},		/* bullet operator, U+2219 */
	{"\xe2\x8b\xaf", MASK_MIN}, /* midline ellipsis, U+22EF */
	{"\xe2\x96\x88", 1},		/* full block, U+2588 */
	{"\xe2\x96\xa0", 1},		/* black square, U+25A0 */
	{"\xef\xbc\x8a", 1},		/* fullwidth asterisk, U+FF0A */
	{"\xc2\xb7", 1}				/* middle dot, U+00B7 */
};

static const char *const masking_words[] = {"redacted", "masked", "hidden", "withheld"};

static bool
is_space(char character)
{
	return character != '\0' && strchr(" \t\r\n\f\v", character) != NULL;
}

static bool
begins_with(const char *text, size_t len, const char *what)
{
	size_t		what_len = strlen(what);

	return len >= what_len && memcmp(text, what, what_len) == 0;
}

static bool
ends_with(const char *text, size_t len, const char *what)
{
	size_t		what_len = strlen(what);

	return len >= what_len && memcmp(text + len - what_len, what, what_len) == 0;
}

size_t
kv_trimmed(const char *text, size_t len, size_t *start)
{
	*start = 0;
	while (len > 0 && is_space(text[len - 1]))
		len--;
	while (*start < len && is_space(text[*start]))
		(*start)++;
	return len - *start;
}

bool
kv_is_word(const char *text, size_t len, const char *word)
{
	size_t		at = 0;

	while (at < len && word[at] != '\0' && (text[at] | 0x20) == word[at])
		at++;
	return at == len && word[at] == '\0';
}

/* Letters and digits, which a key consists of, begin no mask character. */
static bool
may_begin_mask(char byte)
{
	return byte == '*' || byte == '.' || (unsigned char) byte >= 0x80;
}

/* The mask character that the text begins with, or NULL. */
static const MaskCharacter *
mask_character(const char *text, size_t len)
{
	if (!may_begin_mask(text[0]))
		return NULL;
	for (size_t i = 0; i < COUNT(mask_characters); i++)
	{
		if (begins_with(text, len, mask_characters[i].utf8))
			return &mask_characters[i];
	}
	return NULL;
}

/*
 * How many bytes of mask the text begins with, 0 unless it is long enough to be one.
 * Spaces and dashes that join two parts belong to it: "**** **** 0004".
 */
static size_t
mask_len(const char *text, size_t len)
{
	const MaskCharacter *mask;
	size_t		end = 0;
	size_t		weight = 0;

	for (size_t i = 0; i < len;)
	{
		mask = mask_character(text + i, len - i);
		if (mask != NULL)
		{
			i += strlen(mask->utf8);
			end = i;
			weight += mask->weight;
		}
		else if (end > 0 && (text[i] == ' ' || text[i] == '-'))
			i++;
		else
			break;
	}
	return weight >= MASK_MIN ? end : 0;
}

/* Characters, by their first bytes. */
static size_t
count_characters(const char *text, size_t len)
{
	size_t		count = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (((unsigned char) text[i] & 0xc0) != 0x80)
			count++;
	}
	return count;
}

/* One word in any case, in brackets of any kind or none. */
static bool
is_masking_word(const char *text, size_t len)
{
	if (len > 2 && strchr("[<({", text[0]) != NULL && strchr("]>)}", text[len - 1]) != NULL)
	{
		text++;
		len -= 2;
	}
	for (size_t i = 0; i < COUNT(masking_words); i++)
	{
		if (kv_is_word(text, len, masking_words[i]))
			return true;
	}
	return false;
}

bool
kv_looks_masked(const char *text, size_t len)
{
	size_t		start;
	size_t		visible = 0;

	len = kv_trimmed(text, len, &start);
	text += start;
	if (is_masking_word(text, len))
		return true;
	for (size_t i = 0; i < len && visible <= KV_MASK_HEAD_MAX; i++)
	{
		size_t		masked = mask_len(text + i, len - i);

		if (masked > 0)
			return count_characters(text + i + masked, len - i - masked) <= KV_MASK_TAIL_MAX;
		visible += count_characters(text + i, 1);
	}
	return false;
}

bool
kv_key_is_structured(const char *text, size_t len)
{
	size_t		start;

	len = kv_trimmed(text, len, &start);
	text += start;
	if (len > 2 && text[0] == '{' && text[len - 1] == '}')
		return memchr(text, '"', len) != NULL && memchr(text, ':', len) != NULL;
	return begins_with(text, len, "-----BEGIN ") && ends_with(text, len, "-----") &&
		!begins_with(text, len, "-----BEGIN PGP MESSAGE");
}

size_t
kv_first_unsendable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char byte = (unsigned char) text[i];

		if (byte < 0x20 || byte >= 0x7f)
			return i;
	}
	return len;
}

const char *
kv_unsendable_name(const char *text, size_t len)
{
	static const struct
	{
		const char *utf8;
		const char *name;
	}			named[] = {
		{"\n", "a line break"},
		{"\r", "a line break"},
		{"\t", "a tab"},
		{"\xc2\xa0", "a no-break space (U+00A0)"},
		{"\xc2\xad", "a soft hyphen (U+00AD)"},
		{"\xe2\x80\x8b", "a zero width space (U+200B)"},
		{"\xe2\x80\x8c", "a zero width non-joiner (U+200C)"},
		{"\xe2\x80\x8d", "a zero width joiner (U+200D)"},
		{"\xe2\x80\x8e", "a left-to-right mark (U+200E)"},
		{"\xe2\x80\x8f", "a right-to-left mark (U+200F)"},
		{"\xe2\x80\xa8", "a line separator (U+2028)"},
		{"\xe2\x80\xaf", "a narrow no-break space (U+202F)"},
		{"\xe2\x81\xa0", "a word joiner (U+2060)"},
		{"\xe3\x80\x80", "an ideographic space (U+3000)"},
		{"\xef\xbb\xbf", "a byte order mark (U+FEFF)"}
	};

	for (size_t i = 0; i < COUNT(named); i++)
	{
		if (begins_with(text, len, named[i].utf8))
			return named[i].name;
	}
	if (len > 0 && ((unsigned char) text[0] < 0x20 || text[0] == 0x7f))
		return "a control character";
	return NULL;
}
