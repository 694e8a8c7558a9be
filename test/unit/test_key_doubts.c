/*
 * test_key_doubts.c
 *		Masks, documents, characters that cannot be sent, and ciphertexts.
 */
#include <stdlib.h>
#include <string.h>

#include "format/ciphertext.h"
#include "format/key_doubts.h"
#include "tap.h"

#define BULLET "\xe2\x80\xa2"
#define ELLIPSIS "\xe2\x80\xa6"
#define KEY "sk-proj-9f2c4e61a7b3d80512ce4f6a7b8c9d0e"

#define PGP_HEX "c30d040703028a3b1c0d9e2f4c6160d2000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
#define PGP_BASE64 "ww0EBwMCijscDZ4vTGFg0gABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic="
#define PGP_BASE64_LINES "ww0EBwMCijscDZ4vTGFg0gABAgMEBQYHCAkKCwwNDg8Q\r\nERITFBUWFxgZGhscHR4fICEiIyQlJic=\n"
#define PGP_PUBLIC_HEX "c1c04c03112233445566778801000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
#define PGP_PUBLIC_BASE64 "hQEMAxEiM0RVZneIAQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic="
#define PGP_HEX_UPPER "C30D040703028A3B1C0D9E2F4C6160D2000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F2021222324252627"
#define PGP_BASE64URL "ww0EBwMC-_-_DZ4vTGFg0gABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJic"
#define FERNET "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw=="
#define HEX_32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define FERNET_BYTES_HEX "80000000006553f100000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
#define SALTED "U2FsdGVkX18AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYn"
#define BCRYPT_HASH "10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
#define BCRYPT "$2b$" BCRYPT_HASH
#define JWE "eyJhbGciOiJkaXIifQ..aXY.Y2lw.dGFn"

/* A copy of exactly len bytes, so that a read past its end is seen. */
static char *
exact_copy(const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, text, len);
	return copy;
}

static bool
is_masked(const char *text)
{
	char	   *copy = exact_copy(text);
	bool		result = kv_looks_masked(copy, strlen(text));

	free(copy);
	return result;
}

static bool
is_structured(const char *text)
{
	char	   *copy = exact_copy(text);
	bool		result = kv_key_is_structured(copy, strlen(text));

	free(copy);
	return result;
}

static size_t
unsendable(const char *text)
{
	char	   *copy = exact_copy(text);
	size_t		result = kv_first_unsendable(copy, strlen(text));

	free(copy);
	return result;
}

static const char *
name_of(const char *text)
{
	char	   *copy = exact_copy(text);
	const char *name = kv_unsendable_name(copy, strlen(text));

	free(copy);
	return name != NULL ? name : "";
}

/* What the text is taken for, "" for nothing. */
static const char *
ciphertext(const char *text)
{
	char	   *copy = exact_copy(text);
	const char *what = kv_looks_like_ciphertext(copy, strlen(text));

	free(copy);
	return what != NULL ? what : "";
}

static KvPgpSpelling
pgp(const char *text)
{
	char	   *copy = exact_copy(text);
	KvPgpSpelling spelling = kv_pgp_spelling(copy, strlen(text));

	free(copy);
	return spelling;
}

static bool
says(const char *text, const char *word)
{
	return strstr(ciphertext(text), word) != NULL;
}

/* The bytes of a text in hex, behind a prefix. */
static const char *
hex_of(const char *prefix, const char *text)
{
	static char spelled[1024];
	char	   *out = spelled + strlen(prefix);

	memcpy(spelled, prefix, strlen(prefix));
	for (const char *c = text; *c != '\0'; c++)
		out += snprintf(out, 3, "%02x", (unsigned) (unsigned char) *c);
	*out = '\0';
	return spelled;
}

static void
masks_are_known(void)
{
	check(is_masked("****0004"));
	check(is_masked("********"));
	check(is_masked("***"));
	check(is_masked("sk-...abcd"));
	check(is_masked("sk-" ELLIPSIS "abcd"));
	check(is_masked("sk-ant-api03-R2D...igAA"));
	check(is_masked("sk-proj-********************************abcd"));
	check(is_masked("**** **** **** 0004"));
	check(is_masked("****-****-****-0004"));
	check(is_masked(BULLET BULLET BULLET BULLET "0004"));
	check(is_masked("AIza" BULLET BULLET BULLET BULLET BULLET));
	check(is_masked(" " BULLET BULLET BULLET "abcd\n"));
	check(is_masked("\xe2\x97\x8f\xe2\x97\x8f\xe2\x97\x8f\xe2\x97\x8f"));
	check(is_masked("...abcd"));
	check(is_masked("abcd..."));
	check(is_masked("[REDACTED]"));
	check(is_masked("<hidden>"));
	check(is_masked("(masked)"));
	check(is_masked("{Withheld}"));
	check(is_masked("redacted"));
}

/* Each character that masks, as often as it takes. */
static void
each_mask_character_is_known(void)
{
	static const char *const masks[] = {
		"***", "...", "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2", "\xe2\x80\xa6",
		"\xe2\x97\x8f\xe2\x97\x8f\xe2\x97\x8f", "\xe2\x88\x97\xe2\x88\x97\xe2\x88\x97",
		"\xe2\x88\x99\xe2\x88\x99\xe2\x88\x99", "\xe2\x8b\xaf", "\xe2\x96\x88\xe2\x96\x88\xe2\x96\x88",
		"\xe2\x96\xa0\xe2\x96\xa0\xe2\x96\xa0", "\xef\xbc\x8a\xef\xbc\x8a\xef\xbc\x8a", "\xc2\xb7\xc2\xb7\xc2\xb7"
	};

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
	{
		char		text[64];

		snprintf(text, sizeof(text), "sk-%s0004", masks[i]);
		if (!check(is_masked(text)))
			printf("# %s\n", text);
	}
}

static void
keys_are_not_masked(void)
{
	check(!is_masked(""));
	check(!is_masked("*"));
	check(!is_masked("sk-**abcd"));
	check(!is_masked("sk-..abcd"));
	check(!is_masked(KEY));
	check(!is_masked("AQ.Ab8RN6.Kx.Q2z"));
	check(!is_masked("eyJhbGciOiJkaXIifQ..aXY.Y2lw.dGFn"));
	/* 24 before, 8 behind, and one more */
	check(is_masked("abcdefghijklmnopqrstuvwx***12345678"));
	check(!is_masked("abcdefghijklmnopqrstuvwxy***12345678"));
	check(!is_masked("abcdefghijklmnopqrstuvwx***123456789"));
	/* which are characters, not bytes */
	check(is_masked("***\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"));
	check(!is_masked("redacted-key"));
	check(!is_masked("red"));
	check(!is_masked("\xff\x80\x80***\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
}

static void
documents_are_known(void)
{
	check(is_structured("{\"type\": \"service_account\"}"));
	check(is_structured(" {\n\"a\":1}\n"));
	check(is_structured("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"));
	check(!is_structured("{}"));
	check(!is_structured("{abc}"));
	check(!is_structured("{\"a\":1"));
	check(!is_structured(KEY));
	check(!is_structured("-----BEGIN PRIVATE KEY-----\nabc"));
	check(!is_structured("-----BEGIN PGP MESSAGE-----\nabc\n-----END PGP MESSAGE-----"));
	check(!is_structured(""));
}

static void
unsendable_characters_are_found(void)
{
	check(unsendable("") == 0);
	check(unsendable(KEY) == strlen(KEY));
	check(unsendable("a b~!") == 5);
	check(unsendable("ab\nc") == 2);
	check(unsendable("ab\x7f") == 2);
	check(unsendable("abc\xc2\xa0") == 3);
	check(unsendable("sk\xe2\x80\x8bx") == 2);
	check(unsendable("\xd0\xb0") == 0);
	check(unsendable("ab\xff") == 2);
	check(strcmp(name_of("\x01"), "a control character") == 0);
	check(strcmp(name_of("\x7f"), "a control character") == 0);
	/* a letter is not named */
	check(strcmp(name_of("\xd0\xb0"), "") == 0);
	check(strcmp(name_of(""), "") == 0);
}

/* What nobody sees has to be named. */
static void
unseen_characters_have_names(void)
{
	static const struct
	{
		const char *text;
		const char *name;
	}			named[] = {
		{"\nx", "line break"}, {"\r", "line break"}, {"\t", "tab"}, {"\xc2\xa0", "(U+00A0)"}, {"\xc2\xad", "(U+00AD)"},
		{"\xe2\x80\x8bx", "(U+200B)"}, {"\xe2\x80\x8c", "(U+200C)"}, {"\xe2\x80\x8d", "(U+200D)"}, {"\xe2\x80\x8e", "(U+200E)"},
		{"\xe2\x80\x8f", "(U+200F)"}, {"\xe2\x80\xa8", "(U+2028)"}, {"\xe2\x80\xaf", "(U+202F)"}, {"\xe2\x81\xa0", "(U+2060)"},
		{"\xe3\x80\x80", "(U+3000)"}, {"\xef\xbb\xbf", "(U+FEFF)"}
	};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
	{
		if (!check(strstr(name_of(named[i].text), named[i].name) != NULL))
			printf("# %s: %s\n", named[i].name, name_of(named[i].text));
	}
}

static void
white_space_is_trimmed(void)
{
	size_t		start;

	check(kv_trimmed(" \t\r\n\f\vab c \n", 12, &start) == 4 && start == 6);
	check(kv_trimmed("", 0, &start) == 0 && start == 0);
	check(kv_trimmed("  \n", 3, &start) == 0);
	check(kv_trimmed("a", 1, &start) == 1 && start == 0);
}

static void
ciphertexts_are_known(void)
{
	check(says("-----BEGIN PGP MESSAGE-----\nVersion: x\n\nww0E\n-----END PGP MESSAGE-----\n", "OpenPGP"));
	check(says("\\x" PGP_HEX, "OpenPGP"));
	check(says(PGP_HEX, "OpenPGP"));
	check(says(PGP_BASE64, "OpenPGP"));
	check(says(PGP_BASE64_LINES, "OpenPGP"));
	check(says("\\x" PGP_PUBLIC_HEX, "OpenPGP"));
	check(says(PGP_PUBLIC_BASE64, "OpenPGP"));
	check(says("\\x" PGP_HEX_UPPER, "OpenPGP"));
	check(says(PGP_BASE64URL, "OpenPGP"));
	/* Twofish; a length of five bytes; version 5, with OCB */
	check(says("c30d040a03028a3b1c0d9e2f4c6160d2000102030405060708090a0b", "OpenPGP"));
	check(says("c3ff0000000d040703028a3b1c0d9e2f4c6160d2000102030405060708090a0b", "OpenPGP"));
	check(says("c31e05090203088a3b1c0d9e2f4c6160d2000102030405060708090a0b", "OpenPGP"));
	check(says(hex_of("\\x", "-----BEGIN PGP MESSAGE-----\n\nww0E"), "OpenPGP"));
	check(says(FERNET, "Fernet"));
	check(says(" " FERNET "\n", "Fernet"));
	check(says(hex_of("\\x", FERNET), "Fernet"));
	check(says("\\x" FERNET_BYTES_HEX, "Fernet"));
	/* with the fewest bytes that one has, and that are decoded at all */
	check(says("8000000000" HEX_32 HEX_32 "20212223", "Fernet"));
	check(says("2435246162636465666768696a6b6c6d", "password hash"));
	check(says("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "age"));
	check(says("age-encryption.org/v1\n-> X25519 abc", "age"));
	check(says("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBhYmM=", "age"));
	check(says(hex_of("", BCRYPT), "bcrypt"));
	check(says(JWE, "JWE"));
	check(says(hex_of("\\x", JWE), "JWE"));
	check(says("vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w==", "Vault"));
	check(says(hex_of("0x", "vault:v1:8SDd3WHDOjf7mq69"), "Vault"));
	check(says(SALTED, "OpenSSL"));
	check(says(" None\n", "nothing"));
	check(says("", "blank"));
	check(says(" \t\n", "blank"));
	check(says("\xc2\xa0 \xe2\x80\x8b", "blank"));
	check(says("\xef\xbb\xbf", "blank"));
}

/* Each beginning that says what a text is, and each word for nothing. */
static void
each_beginning_is_known(void)
{
	static const struct
	{
		const char *text;
		const char *what;
	}			begun[] = {
		{"$2a$" BCRYPT_HASH, "bcrypt"}, {"$2b$" BCRYPT_HASH, "bcrypt"}, {"$2y$" BCRYPT_HASH, "bcrypt"},
		{"$argon2id$v=19$m=65536,t=3,p=4$abc$def", "password hash"}, {"$scrypt$ln=16,r=8,p=1$aM15713r3Xsv$nFNh2CVHVjNl", "password hash"},
		{"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o", "password hash"}, {"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hs", "password hash"},
		{"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8i", "password hash"}, {"$pbkdf2-sha256$29000$N2YMIWQs$1t8iyB2A", "password hash"},
		{"pbkdf2_sha256$260000$abc$def", "password hash"}, {"SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy", "password hash"},
		{"AQICAH" HEX_32 HEX_32, "AWS KMS"}, {"ENC[AES256_GCM,data:abc]", "ciphertext"}, {"{cipher}AQA1b2c3", "ciphertext"},
		{"null", "nothing"}, {"none", "nothing"}, {"NIL", "nothing"}, {"NaN", "nothing"}, {"undefined", "nothing"}
	};

	for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]); i++)
	{
		if (!check(says(begun[i].text, begun[i].what)))
			printf("# %s: %s\n", begun[i].text, ciphertext(begun[i].text));
	}
}

static void
keys_are_no_ciphertexts(void)
{
	static const char *const keys[] = {
		KEY, "9f2c4e61a7b3d80512ce4f6a7b8c9d0e", "9f2c4e61-a7b3-4d80-912c-e4f6a7b8c9d0",
		"AIzaSyB-0a1B2c3D4e5F6g7H8i9J0kLmNoPqRs", "AQ.Ab8RN6KxQ2zR7tY4wP8nLaB3xK9mQ2zR7tY4wP8nL",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyX2EifQ.c2lnbmF0dXJl", "gAAAAA", "gAAAAABkey", "nullable",
		"c30d040703028a3b", "c30d0407", "$2", "x", "{\"a\": 1}", "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----",
		/* hex that begins as OpenPGP does, with an unknown version, cipher or hash */
		"c30d070703028a3b1c0d9e2f4c6160d2000102030405060708090a0b", "c30d041703028a3b1c0d9e2f4c6160d2000102030405060708090a0b",
		"c30d0407030e8a3b1c0d9e2f4c6160d2000102030405060708090a0b", "c1c04c04112233445566778801000102030405060708090a0b",
		"c1c04c03112233445566778863000102030405060708090a0b0c0d0e", "AQICAHkey",
		/* too short for a Fernet token, and for a hash in hex or in base64 */
		"8000000000" HEX_32, "8000000000" HEX_32 HEX_32 "202122", "2435246162636465666768696a6b6c", "JDUkYWJjZGVm",
		/* four dots, but no JWE */
		"eyJhbGci OiJkaXIifQ..aXY.Y2lw.dGFn", "eyJ.a.b.c/!d.e",
		PGP_HEX "0", PGP_HEX "zz", PGP_BASE64 "a"
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		if (!check(strcmp(ciphertext(keys[i]), "") == 0))
			printf("# %s: %s\n", keys[i], ciphertext(keys[i]));
	}
}

static void
openpgp_has_three_spellings(void)
{
	check(pgp("-----BEGIN PGP MESSAGE-----\n\nww0E\n-----END PGP MESSAGE-----\n") == KV_PGP_ARMOR);
	check(pgp("\\x" PGP_HEX) == KV_PGP_HEX);
	check(pgp(" " PGP_HEX "\n") == KV_PGP_HEX);
	check(pgp(PGP_BASE64_LINES) == KV_PGP_BASE64);
	check(pgp(PGP_PUBLIC_BASE64) == KV_PGP_BASE64);
	check(pgp(FERNET) == KV_PGP_NONE);
	check(pgp(KEY) == KV_PGP_NONE);
	check(pgp("") == KV_PGP_NONE);
}

int
main(void)
{
	run(masks_are_known);
	run(each_mask_character_is_known);
	run(keys_are_not_masked);
	run(documents_are_known);
	run(unsendable_characters_are_found);
	run(unseen_characters_have_names);
	run(white_space_is_trimmed);
	run(ciphertexts_are_known);
	run(each_beginning_is_known);
	run(keys_are_no_ciphertexts);
	run(openpgp_has_three_spellings);
	return finish();
}
