/*
 * rsa_key.c
 *		Whether the numbers of a public RSA key are sound.
 */
#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/err.h>

#include "key.h"
#include "rsa_key.h"

#define EXPONENT_MAX	4		/* bytes; 65537 is usual, and a long one only costs time */

/*
 * Primes modulo which a modulus of the faulty generator of CVE-2017-15361 ("ROCA") is
 * always a power of 65537.  Source: Nemec and others, "The Return of Coppersmith's
 * Attack", 2017, section 2.  A sound modulus passes for one in 2^27 cases or fewer.
 */
static const unsigned char roca_primes[] = {
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
	101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167
};

static bool
is_power_of_65537(unsigned residue, unsigned prime)
{
	unsigned	power = 1;

	do
	{
		if (power == residue)
			return true;
		power = power * (65537 % prime) % prime;
	} while (power != 1);
	return false;
}

static bool
has_roca(const BIGNUM *modulus)
{
	for (size_t i = 0; i < sizeof(roca_primes); i++)
	{
		unsigned	prime = roca_primes[i];

		if (!is_power_of_65537((unsigned) BN_mod_word(modulus, prime), prime))
			return false;
	}
	return true;
}

static KvKeySetFault
check_modulus(const BIGNUM *modulus)
{
	int			bits = BN_num_bits(modulus);

	if (bits < KV_KEY_RSA_MIN_BITS || bits > KV_KEY_RSA_MAX_BITS)
		return KV_KEYS_SHORT_RSA;
	if (!BN_is_odd(modulus))
		return KV_KEYS_VALUE;
	return has_roca(modulus) ? KV_KEYS_ROCA : KV_KEYS_OK;
}

/* Odd, at least 3, and short. */
static bool
exponent_is_sound(const uint8_t *exponent, size_t len)
{
	uint64_t	value = 0;

	while (len > 0 && *exponent == 0)
	{
		exponent++;
		len--;
	}
	if (len > EXPONENT_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		value = value << 8 | exponent[i];
	return value >= 3 && value % 2 == 1;
}

KvKeySetFault
kv_rsa_key_check(const uint8_t *modulus, size_t len,
				 const uint8_t *exponent, size_t exponent_len, size_t *modulus_len)
{
	BIGNUM	   *number;
	KvKeySetFault fault;

	*modulus_len = 0;
	if (len > KV_KEY_RSA_MAX_BITS)	/* bytes: eight times too many, and they may be zeros */
		return KV_KEYS_SHORT_RSA;
	number = BN_bin2bn(modulus, (int) len, NULL);
	if (number == NULL)
	{
		ERR_clear_error();
		return KV_KEYS_NO_MEMORY;
	}
	fault = check_modulus(number);
	*modulus_len = (size_t) BN_num_bytes(number);
	BN_free(number);
	if (fault == KV_KEYS_OK && !exponent_is_sound(exponent, exponent_len))
		fault = KV_KEYS_EXPONENT;
	return fault;
}
