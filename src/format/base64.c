/*
 * base64.c
 *		Base64 of a 32-byte key.
 *
 * libcrypto's decoder skips white space and lets stray bits pass; a keyring has
 * one spelling for a key.
 */
#include <string.h>

#include <openssl/crypto.h>

#include "base64.h"

#define WHOLE_GROUPS	10		/* of 3 bytes; 2 bytes are left of 32 */

/*
 * Masks instead of comparisons: all bits when low <= c <= high, else none.  Both
 * differences are negative, and so have their high bits set, only outside.
 */
static int
in_range(int c, int low, int high)
{
	return ~((c - low) >> 8 | (high - c) >> 8);
}

/* The character for six bits. */
static char
encode_digit(int bits)
{
	return (char) ((in_range(bits, 0, 25) & ('A' + bits)) |
				   (in_range(bits, 26, 51) & ('a' + bits - 26)) |
				   (in_range(bits, 52, 61) & ('0' + bits - 52)) |
				   (in_range(bits, 62, 62) & '+') |
				   (in_range(bits, 63, 63) & '/'));
}

/* The six bits of a character, or a negative number. */
static int
decode_digit(char character)
{
	int			c = (unsigned char) character;
	int			upper = in_range(c, 'A', 'Z');
	int			lower = in_range(c, 'a', 'z');
	int			digit = in_range(c, '0', '9');
	int			plus = in_range(c, '+', '+');
	int			slash = in_range(c, '/', '/');

	return (upper & (c - 'A')) |
		(lower & (c - 'a' + 26)) |
		(digit & (c - '0' + 52)) |
		(plus & 62) |
		(slash & 63) |
		~(upper | lower | digit | plus | slash);
}

void
kv_base64_encode_key(const uint8_t key[static 32],
					 char text[static KV_BASE64_KEY_LEN])
{
	for (int i = 0; i < WHOLE_GROUPS; i++)
	{
		const uint8_t *in = key + 3 * i;

		*text++ = encode_digit(in[0] >> 2);
		*text++ = encode_digit((in[0] & 3) << 4 | in[1] >> 4);
		*text++ = encode_digit((in[1] & 15) << 2 | in[2] >> 6);
		*text++ = encode_digit(in[2] & 63);
	}
	*text++ = encode_digit(key[30] >> 2);
	*text++ = encode_digit((key[30] & 3) << 4 | key[31] >> 4);
	*text++ = encode_digit((key[31] & 15) << 2);
	*text = '=';
}

/* Takes count characters as six bits each; *bad turns negative if one is not. */
static void
take_digits(const char *text, int count, unsigned digits[static 4], int *bad)
{
	for (int i = 0; i < count; i++)
	{
		int			digit = decode_digit(text[i]);

		*bad |= digit;
		digits[i] = (unsigned) digit & 63;
	}
}

bool
kv_base64_decode_key(const char *text, size_t len, uint8_t key[static 32])
{
	int			bad = 0;
	unsigned	digits[4];
	uint8_t    *out = key;

	memset(key, 0, 32);
	if (len != KV_BASE64_KEY_LEN || text[KV_BASE64_KEY_LEN - 1] != '=')
		return false;

	for (int i = 0; i < WHOLE_GROUPS; i++)
	{
		take_digits(text + 4 * i, 4, digits, &bad);
		*out++ = (uint8_t) (digits[0] << 2 | digits[1] >> 4);
		*out++ = (uint8_t) (digits[1] << 4 | digits[2] >> 2);
		*out++ = (uint8_t) (digits[2] << 6 | digits[3]);
	}
	take_digits(text + 4 * WHOLE_GROUPS, 3, digits, &bad);
	*out++ = (uint8_t) (digits[0] << 2 | digits[1] >> 4);
	*out = (uint8_t) (digits[1] << 4 | digits[2] >> 2);
	/* The last digit has two bits to spare, which must be zero */
	bad |= -(int) (digits[2] & 3);

	OPENSSL_cleanse(digits, sizeof(digits));
	if (bad < 0)
	{
		OPENSSL_cleanse(key, 32);
		return false;
	}
	return true;
}
