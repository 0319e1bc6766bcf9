/* base/arena.h gives blocks to arenas only, so a copy is an arena in short form: its newest block
 * is all that is kept, and the arena is made again from it to give the blocks back. The pieces are
 * taken last first, so that the newest block holds the beginning. */
#include "sip/copy.h"

struct piece {
    const struct piece *next;
    char text[];
};

static struct arena arena_over(const struct copies *c, void *head)
{
    return (struct arena){.src = c->blocks, .head = head, .cap_bytes = SIZE_MAX / 2};
}

void copies_init(struct copies *c, struct blocks *blocks)
{
    struct arena a;
    arena_init_blocks(&a, blocks, SIZE_MAX / 2);
    size_t room = blocks->block_bytes;
    const uint8_t *p = NULL;
    while (room > 16 && !(p = arena_take(&a, room)))
        room -= 16;
    CHECK(p);
    *c = (struct copies){.blocks = blocks,
                         .room = (uint32_t)(room - sizeof(struct piece)),
                         .offset = (uint32_t)(p - (const uint8_t *)a.head)};
    arena_reset(&a);
}

enum err copy_keep(const struct copies *c, struct str s, void **ret_head)
{
    CHECK(s.n > 0);
    struct arena a = arena_over(c, NULL);
    const struct piece *next = NULL;
    for (size_t i = (s.n - 1) / c->room + 1; i-- > 0;) {
        struct piece *piece = arena_take(&a, c->room + sizeof *piece);
        if (!piece) {
            arena_reset(&a);
            return ERR_FULL;
        }
        struct str part = str_head(str_skip(s, i * c->room), c->room);
        memcpy(piece->text, part.p, part.n);
        piece->next = next;
        next = piece;
    }
    *ret_head = a.head;
    return OK;
}

void copy_release(const struct copies *c, void **head)
{
    if (!*head)
        return;
    struct arena a = arena_over(c, *head);
    arena_reset(&a);
    *head = NULL;
}

static const struct piece *first_piece(const struct copies *c, const void *head)
{
    return (const struct piece *)(const void *)((const uint8_t *)head + c->offset);
}

struct str copy_read(const struct copies *c, const void *head, size_t n, char *scratch)
{
    if (!head || n == 0)
        return STR_NONE;
    const struct piece *piece = first_piece(c, head);
    if (n <= c->room)
        return str_of(piece->text, n);
    for (size_t at = 0; at < n; at += c->room, piece = piece->next)
        memcpy(scratch + at, piece->text, MIN(n - at, (size_t)c->room));
    return str_of(scratch, n);
}

bool copy_equal(const struct copies *c, const void *head, struct str s)
{
    const struct piece *piece = first_piece(c, head);
    for (size_t at = 0; at < s.n; at += c->room, piece = piece->next)
        if (memcmp(piece->text, s.p + at, MIN(s.n - at, (size_t)c->room)) != 0)
            return false;
    return true;
}
