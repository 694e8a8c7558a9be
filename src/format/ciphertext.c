/*
 * ciphertext.c
 *		Knows ciphertexts by how they begin, in three spellings.
 */
#include <stdint.h>
#include <string.h>

#include "format/ciphertext.h"
#include "format/key_doubts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HEAD_MAX		48		/* bytes of the beginning that are looked at */
#define SPELLED_MIN		16		/* bytes: hex and base64 of fewer say nothing */
#define FERNET_VERSION	0x80
#define FERNET_MIN		73		/* version, time, IV, one block, HMAC */
#define JWE_BEGIN		"eyJ"
#define JWE_DOTS		4

/* The first packet of an OpenPGP message. */
#define TAG_PUBLIC_KEY	1
#define TAG_PASSPHRASE	3

typedef enum Spelling
{
	PLAIN,
	HEX,
	BASE64
} Spelling;

/* Reads a text's bytes one by one. */
typedef struct Reader
{
	const char *text;
	size_t		len;
	size_t		at;
	Spelling	spelling;
	unsigned	bits;			/* of base64, not read yet */
	int			bit_count;
} Reader;

/* A text, decoded: how it begins, and how long it is. */
typedef struct Head
{
	uint8_t		bytes[HEAD_MAX];
	size_t		len;			/* of bytes, at most HEAD_MAX */
	size_t		total;
} Head;

typedef struct Beginning
{
	const char *bytes;
	size_t		total_min;		/* fewer bytes in all may be a key */
	const char *what;
} Beginning;

static const Beginning beginnings[] = {
	{"-----BEGIN PGP MESSAGE", 0, "an OpenPGP message"},
	{"-----BEGIN AGE ENCRYPTED FILE", 0, "a file that age encrypted"},
	{"age-encryption.org/v1", 0, "a file that age encrypted"},
	{"gAAAAA", 98, "a Fernet token"},
	{"vault:v", 0, "a ciphertext of Vault's transit engine"},
	{"$2a$", 0, "a bcrypt hash"},
	{"$2b$", 0, "a bcrypt hash"},
	{"$2y$", 0, "a bcrypt hash"},
	{"$argon2", 0, "a password hash"},
	{"$scrypt$", 0, "a password hash"},
	{"$y$", 0, "a password hash"},
	{"$5$", 0, "a password hash"},
	{"$6$", 0, "a password hash"},
	{"$pbkdf2", 0, "a password hash"},
	{"pbkdf2_sha", 0, "a password hash"},
	{"SCRAM-SHA-256$", 0, "a password hash"},
	{"Salted__", 0, "a ciphertext of OpenSSL or CryptoJS"},
	{"AQICAH", 100, "a ciphertext of AWS KMS"},
	{"ENC[", 0, "a ciphertext"},
	{"{cipher}", 0, "a ciphertext"}
};

static const char *const nothing[] = {"null", "none", "nil", "nan", "undefined"};

static int
hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}

/* Six bits; both alphabets of RFC 4648. */
static int
base64_digit(char character)
{
	if (character >= 'A' && character <= 'Z')
		return character - 'A';
	if (character >= 'a' && character <= 'z')
		return character - 'a' + 26;
	if (character >= '0' && character <= '9')
		return character - '0' + 52;
	if (character == '+' || character == '-')
		return 62;
	if (character == '/' || character == '_')
		return 63;
	return -1;
}

static bool
is_line_end(char character)
{
	return character == '\n' || character == '\r';
}

/* The next byte, or -1 at the end or where the spelling ends. */
static int
next_byte(Reader *reader)
{
	if (reader->spelling == PLAIN)
		return reader->at < reader->len ? (unsigned char) reader->text[reader->at++] : -1;
	while (reader->at < reader->len)
	{
		char		character = reader->text[reader->at];
		int			digit = reader->spelling == HEX ? hex_digit(character) : base64_digit(character);
		int			width = reader->spelling == HEX ? 4 : 6;

		if (digit < 0 && !is_line_end(character))
			return -1;
		reader->at++;
		if (digit < 0)
			continue;
		reader->bits = reader->bits << width | (unsigned) digit;
		reader->bit_count += width;
		if (reader->bit_count >= 8)
		{
			reader->bit_count -= 8;
			return reader->bits >> reader->bit_count & 0xff;
		}
	}
	return -1;
}

static Reader
open_reader(const char *text, size_t len, Spelling spelling)
{
	Reader		reader = {text, len, 0, spelling, 0, 0};

	if (spelling == HEX && len >= 2 && (text[0] == '\\' || text[0] == '0') && text[1] == 'x')
		reader.at = 2;
	return reader;
}

/* Whether all was read: no half byte of hex, and base64 may end in padding. */
static bool
is_at_end(const Reader *reader)
{
	size_t		at = reader->at;

	if (reader->spelling == HEX && reader->bit_count > 0)
		return false;
	while (reader->spelling == BASE64 && at < reader->len &&
		   (reader->text[at] == '=' || is_line_end(reader->text[at])))
		at++;
	return at == reader->len;
}

/* Whether a byte begins an OpenPGP packet of the tag, in the new or the old format. */
static bool
begins_packet(uint8_t byte, uint8_t tag)
{
	return byte == (0xc0 | tag) || (byte & ~3) == (0x80 | tag << 2);
}

/*
 * Whether anything that is known here begins with the byte.  Hardly any key does, which
 * then need not be decoded.
 */
static bool
may_begin(uint8_t byte)
{
	for (size_t i = 0; i < COUNT(beginnings); i++)
	{
		if ((uint8_t) beginnings[i].bytes[0] == byte)
			return true;
	}
	return byte == FERNET_VERSION || byte == JWE_BEGIN[0] ||
		begins_packet(byte, TAG_PASSPHRASE) || begins_packet(byte, TAG_PUBLIC_KEY);
}

/*
 * Decodes a text that is spelled so from its start to its end; false when it is not, or
 * is nothing that is known here.
 */
static bool
read_head(const char *text, size_t len, Spelling spelling, Head *head)
{
	Reader		reader = open_reader(text, len, spelling);
	int			byte = next_byte(&reader);

	if (byte < 0 || !may_begin((uint8_t) byte))
		return false;
	if (spelling == PLAIN)
	{
		head->total = len;
		head->len = len < HEAD_MAX ? len : HEAD_MAX;
		memcpy(head->bytes, text, head->len);
		return true;
	}
	head->len = 0;
	for (head->total = 0; byte >= 0; head->total++)
	{
		if (head->len < HEAD_MAX)
			head->bytes[head->len++] = (uint8_t) byte;
		byte = next_byte(&reader);
	}
	return is_at_end(&reader) && head->total >= SPELLED_MIN;
}

/* The length of an OpenPGP packet's header; 0 unless it is one of the tag. */
static size_t
packet_header(const Head *head, uint8_t tag)
{
	uint8_t		first = head->bytes[0];

	if (head->len < 16 || !begins_packet(first, tag))
		return 0;
	if (first == (0xc0 | tag))
		return head->bytes[1] < 192 ? 2 : head->bytes[1] < 224 ? 3 : head->bytes[1] == 255 ? 6 : 0;
	return (first & 3) == 0 ? 2 : (first & 3) == 1 ? 3 : (first & 3) == 2 ? 5 : 0;
}

/* A packet for a passphrase: version, cipher, (AEAD,) how the passphrase is hashed. */
static bool
is_for_passphrase(const Head *head)
{
	size_t		at = packet_header(head, TAG_PASSPHRASE);
	const uint8_t *body = head->bytes + at;

	if (at == 0 || body[1] < 1 || body[1] > 10)
		return false;
	if (body[0] == 4)
		return (body[2] == 0 || body[2] == 1 || body[2] == 3) && body[3] >= 1 && body[3] <= 12;
	return body[0] == 5 && body[2] >= 1 && body[2] <= 3 && body[3] <= 3;
}

/* A packet for a public key: version, the key's id, algorithm. */
static bool
is_for_public_key(const Head *head)
{
	size_t		at = packet_header(head, TAG_PUBLIC_KEY);
	const uint8_t *body = head->bytes + at;

	return at > 0 && body[0] == 3 &&
		(body[9] == 1 || body[9] == 2 || body[9] == 16 || body[9] == 18 || body[9] == 25);
}

static bool
is_pgp(const Head *head)
{
	return is_for_passphrase(head) || is_for_public_key(head);
}

static bool
is_fernet(const Head *head)
{
	/* until the year 2106 the time begins with four zeros */
	return head->total >= FERNET_MIN && head->bytes[0] == FERNET_VERSION &&
		memcmp(head->bytes + 1, "\0\0\0\0", 4) == 0;
}

/* Five parts in base64url, the first of which begins a JSON object. */
static bool
is_jwe(const char *text, size_t len, Spelling spelling)
{
	Reader		reader = open_reader(text, len, spelling);
	int			dots = 0;
	int			byte;

	for (size_t i = 0; i < 3; i++)
	{
		if (next_byte(&reader) != JWE_BEGIN[i])
			return false;
	}
	while ((byte = next_byte(&reader)) >= 0)
	{
		if (byte == '.')
			dots++;
		else if (base64_digit((char) byte) < 0)
			return false;
	}
	return dots == JWE_DOTS && is_at_end(&reader);
}

static const char *
what_begins_so(const Head *head)
{
	for (size_t i = 0; i < COUNT(beginnings); i++)
	{
		size_t		len;

		if ((uint8_t) beginnings[i].bytes[0] != head->bytes[0])
			continue;
		len = strlen(beginnings[i].bytes);
		if (head->len >= len && head->total >= beginnings[i].total_min &&
			memcmp(head->bytes, beginnings[i].bytes, len) == 0)
			return beginnings[i].what;
	}
	return NULL;
}

static const char *
what_it_is(const char *text, size_t len, Spelling spelling)
{
	Head		head;
	const char *what;

	if (!read_head(text, len, spelling, &head))
		return NULL;
	what = what_begins_so(&head);
	if (what == NULL && is_pgp(&head))
		what = "an OpenPGP message";
	if (what == NULL && is_fernet(&head))
		what = "a Fernet token";
	if (what == NULL && is_jwe(text, len, spelling))
		what = "a JWE";
	return what;
}

/* Spaces, U+00A0, U+200B and U+FEFF. */
static bool
is_blank(const char *text, size_t len)
{
	static const char *const spaces[] = {" ", "\xc2\xa0", "\xe2\x80\x8b", "\xef\xbb\xbf"};

	while (len > 0)
	{
		size_t		taken = 0;

		for (size_t i = 0; i < COUNT(spaces) && taken == 0; i++)
		{
			size_t		space_len = strlen(spaces[i]);

			if (len >= space_len && memcmp(text, spaces[i], space_len) == 0)
				taken = space_len;
		}
		if (taken == 0)
			return false;
		text += taken;
		len -= taken;
	}
	return true;
}

KvPgpSpelling
kv_pgp_spelling(const char *text, size_t len)
{
	static const char armor[] = "-----BEGIN PGP MESSAGE-----";
	size_t		start;
	Head		head;

	len = kv_trimmed(text, len, &start);
	text += start;
	if (len >= sizeof(armor) - 1 && memcmp(text, armor, sizeof(armor) - 1) == 0)
		return KV_PGP_ARMOR;
	if (read_head(text, len, HEX, &head) && is_pgp(&head))
		return KV_PGP_HEX;
	if (read_head(text, len, BASE64, &head) && is_pgp(&head))
		return KV_PGP_BASE64;
	return KV_PGP_NONE;
}

const char *
kv_looks_like_ciphertext(const char *text, size_t len)
{
	const char *what;
	size_t		start;

	len = kv_trimmed(text, len, &start);
	text += start;
	if (is_blank(text, len))
		return "blank";
	for (size_t i = 0; i < COUNT(nothing); i++)
	{
		if (kv_is_word(text, len, nothing[i]))
			return "a word for nothing, such as null";
	}
	what = what_it_is(text, len, PLAIN);
	if (what == NULL)
		what = what_it_is(text, len, HEX);
	if (what == NULL)
		what = what_it_is(text, len, BASE64);
	return what;
}
