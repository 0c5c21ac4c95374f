/* How the tokens of the corpus are made: who signs, how the signature is bent, how it is all spelt.
 * Private to corpus.c. Every maker returns text that its caller frees. */
#ifndef CHANCERY_TESTS_ATTACK_CORPUS_MAKE_H
#define CHANCERY_TESTS_ATTACK_CORPUS_MAKE_H

#include "tests/attack/corpus.h"

enum { CORPUS_TEXT_MAX = 32768 };

/* A row's texts, with its names filled in. */
struct draft {
	const struct attack_world *w;
	const char *header;
	const char *payload;
};

typedef char *(*maker)(const struct draft *d);

char *make_by_us(const struct draft *d);
char *make_by_rsa(const struct draft *d);
char *make_by_stranger(const struct draft *d);
char *make_by_hmac_of_pem(const struct draft *d);
char *make_by_hmac_of_rsa_pem(const struct draft *d);
char *make_by_hmac_of_der(const struct draft *d);
char *make_by_hmac_of_jwk(const struct draft *d);
char *make_by_hmac_of_kid(const struct draft *d);
char *make_by_hmac_of_nothing(const struct draft *d);
char *make_by_stranger_with_jwk(const struct draft *d);
char *make_without_signature(const struct draft *d);
char *make_of_zeros(const struct draft *d);
char *make_of_ones(const struct draft *d);
char *make_with_zero_r(const struct draft *d);
char *make_with_zero_s(const struct draft *d);
char *make_with_halves_swapped(const struct draft *d);
char *make_with_a_bit_flipped(const struct draft *d);
char *make_with_a_byte_less(const struct draft *d);
char *make_with_a_byte_more(const struct draft *d);
char *make_in_der(const struct draft *d);
char *make_with_the_signature_of_another(const struct draft *d);
char *make_padded(const struct draft *d);
char *make_with_a_space(const struct draft *d);
char *make_with_a_newline(const struct draft *d);
char *make_with_its_scheme(const struct draft *d);
char *make_with_a_fourth_segment(const struct draft *d);
char *make_with_an_empty_segment_before(const struct draft *d);
char *make_with_five_segments(const struct draft *d);
char *make_with_bits_left_over(const struct draft *d);
char *make_in_the_other_alphabet(const struct draft *d);
char *make_in_json(const struct draft *d);
char *make_of_two_segments(const struct draft *d);
char *make_of_dots(const struct draft *d);
char *make_of_nothing(const struct draft *d);
char *make_of_two_dots(const struct draft *d);
char *make_of_a_huge_payload(const struct draft *d);
char *make_of_no_json(const struct draft *d);
char *make_of_a_json_list(const struct draft *d);
char *make_of_deep_json(const struct draft *d);

#endif
