/*
 * base64url.c
 *		Base64url without padding.
 *
 * libjose's own decoder lets stray bits in the last character pass, and compares each
 * character with up to 64 others.
 */
#include "base64url.h"

#define NONE	0xff

/* The six bits of a character, or NONE. */
static const uint8_t digits[256] = {
	[0 ... '-' - 1] = NONE,
	['-'] = 62,
	['-' + 1 ... '0' - 1] = NONE,
	['0'] = 52, 53, 54, 55, 56, 57, 58, 59, 60, 61,
	['9' + 1 ... 'A' - 1] = NONE,
	['A'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	['Z' + 1 ... '_' - 1] = NONE,
	['_'] = 63,
	['_' + 1 ... 'a' - 1] = NONE,
	['a'] = 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	['z' + 1 ... 255] = NONE,
};

bool
kv_base64url_decode(const char *text, size_t len, uint8_t *bytes)
{
	uint32_t	bits = 0;
	uint8_t		all = 0;
	size_t		rest = len % 4;

	if (rest == 1)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		uint8_t		digit = digits[(unsigned char) text[i]];

		/* only NONE has the upper bits */
		all |= digit;
		bits = bits << 6 | (digit & 63);
		if (i % 4 == 3)
		{
			*bytes++ = (uint8_t) (bits >> 16);
			*bytes++ = (uint8_t) (bits >> 8);
			*bytes++ = (uint8_t) bits;
		}
	}
	if (rest == 2)
	{
		*bytes = (uint8_t) (bits >> 4);
		return (all & 0xc0) == 0 && (bits & 15) == 0;
	}
	if (rest == 3)
	{
		*bytes++ = (uint8_t) (bits >> 10);
		*bytes = (uint8_t) (bits >> 2);
		return (all & 0xc0) == 0 && (bits & 3) == 0;
	}
	return (all & 0xc0) == 0;
}
