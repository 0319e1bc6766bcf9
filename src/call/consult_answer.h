/* What a third party that is asked by HTTP says of a call: 200 with {"allow": true} or false and,
 * if it likes, "why"; or 403. Strangers write it. Pure. */
#ifndef CALL_CONSULT_ANSWER_H
#define CALL_CONSULT_ANSWER_H
#include "base/err.h"
#include "base/str.h"

#define CONSULT_QUESTION_MAX 1024u /* bytes of JSON */
#define CONSULT_ANSWER_MAX   4096u
#define CONSULT_WHY_MAX      80u

struct consult_answer {
    bool allow;
    char why[CONSULT_WHY_MAX + 1]; /* printable, ended; "": it does not say */
};
/* ERR_SYNTAX: it says neither, and counts as no answer: another status, no object, no "allow" or
 * one that is no boolean, a 403 that allows; ERR_LIMIT: too long. */
MUST_CHECK enum err consult_answer_read(unsigned status, struct str body,
                                        struct consult_answer *ret_a);
#endif
