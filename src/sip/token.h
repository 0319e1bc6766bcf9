/* Tokens that Ringwall mints: Via branches, tags, Call-IDs, Contact users. Each holds {kind,
 * engine, handle} encrypted and authenticated (SIV over SipHash: 64-bit tag, keyed per boot and
 * shared by the engines), as 26 lower-case base32 characters that survive case folding. They tell
 * peers nothing and cannot be forged. */
#ifndef SIP_TOKEN_H
#define SIP_TOKEN_H
#include "base/pool.h"
#include "base/siphash.h"

enum token_kind {
    TOKEN_BRANCH = 1,
    TOKEN_TAG,
    TOKEN_CALL_ID,
    TOKEN_CONTACT,
    /* tags of a subscription's two dialogs: towards who subscribed, and the notifier */
    TOKEN_SUB,
    TOKEN_WATCH
};
#define TOKEN_CHARS 26u
struct token_keys {
    struct sipkey seal, mask;
};
struct token {
    uint8_t kind, engine;
    struct handle handle;
};
void token_mint(const struct token_keys *k, struct token t, char ret_text[TOKEN_CHARS]);
/* ERR_SYNTAX: not of our shape (a peer's own). ERR_AUTH: our shape but not our seal. */
MUST_CHECK enum err token_open(const struct token_keys *k, struct str text, enum token_kind want,
                               struct token *ret_t);
#define BRANCH_COOKIE "z9hG4bK"
#endif
