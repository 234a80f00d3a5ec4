/* Redis: streams with a consumer group; pipelines of XADD with a WAIT at their end, XACK of many at once.
 *
 * One rule: a message counts as confirmed once a replica has it as well; an acknowledgement that is settled is
 * one that a replica has, too.
 */
#include "modes.h"

#define GROUP "g"
#define READ_BYTES_MAX (2 * 1024 * 1024)

static const int64_t peer_again = SECOND;
static const bool peer_again_anew = true;

/* What is asked, in order: the answers come in the same. */
#define ASKED_MAX (1 << 16)
typedef struct {
    char kinds[ASKED_MAX]; /* 'X'ADD, 'W'AIT, 'R'ead, 'A'cknowledge, any other: only its success matters */
    uint64_t numbers[ASKED_MAX]; /* of an XADD: the message's */
    uint64_t begin, end;
} Asked;
static Asked asked_of[LINKS_MAX + 1];

static uint64_t waiting[LINKS_MAX + 1][ASKED_MAX]; /* added, and not yet known to be on a replica */
static uint64_t waiting_count[LINKS_MAX + 1];
static bool wait_asked[LINKS_MAX + 1], wait_wanted[LINKS_MAX + 1];

static size_t slot(const Link *link)
{
    return link == &consumer ? LINKS_MAX : (size_t)(link - publishers);
}

static void ask(Link *link, char kind, uint64_t number)
{
    Asked *asked = &asked_of[slot(link)];
    if (asked->end - asked->begin == ASKED_MAX)
        die("too much asked at once");
    asked->kinds[asked->end % ASKED_MAX] = kind;
    asked->numbers[asked->end++ % ASKED_MAX] = number;
}

static void put_words(Link *link, char kind, int count, ...)
{
    va_list words;
    va_start(words, count);
    put_format(link, "*%d\r\n", count);
    for (int at = 0; at < count; at++) {
        const char *word = va_arg(words, const char *);
        put_format(link, "$%zu\r\n%s\r\n", strlen(word), word);
    }
    va_end(words);
    ask(link, kind, 0);
}

/* ---- answers ---- */

/* The end of the whole value at `at`; NULL where it is not all here. */
static const uint8_t *value_end(const uint8_t *at, const uint8_t *end)
{
    uint64_t values = 1;
    while (values > 0) {
        const uint8_t *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (line == NULL)
            return NULL;
        long number = strtol((const char *)at + 1, NULL, 10);
        values--;
        if (*at == '$' && number >= 0) {
            if (end - line - 1 < number + 2)
                return NULL;
            line += number + 2;
        } else if (*at == '*' && number > 0) {
            values += (uint64_t)number;
        }
        at = line + 1;
    }
    return at;
}

/* The length that stands at `*at`, which moves behind its line. */
static long length_at(const uint8_t **at)
{
    long number = strtol((const char *)*at + 1, NULL, 10);
    *at = (const uint8_t *)strchr((const char *)*at, '\n') + 1;
    return number;
}

static void put_read(Link *link)
{
    char count[32];
    uint64_t most = READ_BYTES_MAX / job.size;
    snprintf(count, sizeof count, "%" PRIu64, most > job.credit ? job.credit : most < 1 ? 1 : most);
    put_words(link, 'R', 11, "XREADGROUP", "GROUP", GROUP, "c", "COUNT", count, "BLOCK", "50", "STREAMS", job.queue, ">");
}

/* *1, *2, the stream's name, *n, and each: *2, its id, *2, the field's name, the body. */
static void take_read(Link *link, const uint8_t *at)
{
    if (length_at(&at) <= 0)
        return;
    length_at(&at);
    at += length_at(&at) + 2;
    long count = length_at(&at);
    put_format(link, "*%ld\r\n$4\r\nXACK\r\n$%zu\r\n%s\r\n$%zu\r\n" GROUP "\r\n", 3 + count, strlen(job.queue), job.queue,
               strlen(GROUP));
    for (long each = 0; each < count; each++) {
        length_at(&at);
        const uint8_t *id = at;
        long length = length_at(&at);
        at += length + 2;
        put(link, id, (size_t)(at - id));
        length_at(&at);
        length = length_at(&at);
        at += length + 2;
        length = length_at(&at);
        arrived(at, (size_t)length, false);
        at += length + 2;
    }
    ask(link, 'A', 0);
}

/* queued[0]: WAITs of a consumer that are not answered; flag: it is settled. */
static bool take_value(Link *link, char kind, uint64_t number, const uint8_t *at)
{
    size_t mine = slot(link);
    if (*at == '-') {
        if (strcmp(job.mode, "stream") != 0)
            fprintf(stderr, "%.*s\n", (int)strcspn((const char *)at, "\r"), at);
        return false;
    }
    if (kind == 'X') {
        waiting[mine][waiting_count[mine]++] = number;
    } else if (kind == 'W') {
        if (strtol((const char *)at + 1, NULL, 10) < 1)
            return false;
        link->flag = true;
        for (uint64_t each = 0; each < waiting_count[mine]; each++)
            confirmed(link, waiting[mine][each]);
        waiting_count[mine] = 0;
        wait_asked[mine] = false;
        if (wait_wanted[mine])
            peer_published(link);
    } else if (kind == 'R') {
        take_read(link, at);
        if (arrivals.different == job.count && link->queued[0]++ == 0)
            put_words(link, 'W', 3, "WAIT", "1", "10000");
        put_read(link);
    }
    return true;
}

static bool peer_take(Link *link)
{
    Asked *asked = &asked_of[slot(link)];
    while (asked->begin < asked->end && unread(link) > 0) {
        const uint8_t *at = unread_at(link), *end = value_end(at, at + unread(link));
        if (end == NULL)
            break;
        char kind = asked->kinds[asked->begin % ASKED_MAX];
        if (!take_value(link, kind, asked->numbers[asked->begin++ % ASKED_MAX], at))
            return false;
        link->in.begin += (size_t)(end - at);
    }
    return true;
}

/* The answer to the one thing asked, in place until the next link_move; NULL where the link closes or nothing
 * comes. */
static const char *await_value(Link *link, int64_t patience)
{
    int64_t begun = now();
    while (link->fd >= 0 && now() - begun < patience) {
        link_move(link);
        const uint8_t *at = unread_at(link), *end = unread(link) > 0 ? value_end(at, at + unread(link)) : NULL;
        if (end != NULL) {
            asked_of[slot(link)].begin++;
            link->in.begin += (size_t)(end - at);
            return (const char *)at;
        }
        links_wait(link, 1, now() + SECOND / 10, false);
    }
    return NULL;
}

/* ---- what the modes want ---- */

static bool peer_open(Link *link, int port)
{
    if (!link_dial(link, port))
        return false;
    size_t mine = slot(link);
    asked_of[mine].begin = asked_of[mine].end = waiting_count[mine] = 0;
    put_words(link, '?', 1, "ROLE");
    const char *role = await_value(link, 2 * SECOND);
    if (role == NULL || strncmp(role, "*3\r\n$6\r\nmaster", 14) != 0) {
        link_close(link);
        return false;
    }
    return true;
}

static bool wait_for_both(Link *link)
{
    for (int64_t begun = now(); now() - begun < PATIENCE;) {
        put_words(link, '?', 3, "WAIT", "2", "50");
        const char *replicas = await_value(link, SECOND);
        if (replicas == NULL)
            return false;
        if (replicas[0] == ':' && strtol(replicas + 1, NULL, 10) >= 2)
            return true;
    }
    return false;
}

static bool peer_declare(Link *link, const char *queue)
{
    put_words(link, '?', 6, "XGROUP", "CREATE", queue, GROUP, "0", "MKSTREAM");
    const char *made = await_value(link, SECOND);
    return made != NULL && (made[0] == '+' || strncmp(made, "-BUSYGROUP", 10) == 0) && wait_for_both(link);
}

static void peer_publish(Link *link, uint64_t number)
{
    put_format(link, "*5\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$1\r\n*\r\n$1\r\nb\r\n$%" PRIu64 "\r\n", strlen(job.queue),
               job.queue, job.size);
    put(link, body(number), job.size);
    put_text(link, "\r\n");
    ask(link, 'X', number);
}

/* A WAIT holds up all that comes behind it on its connection: at a fixed rate, which may be a fast one, there is
 * one at a time, and the next one is for all that was added meanwhile. */
static void peer_published(Link *link)
{
    size_t mine = slot(link);
    wait_wanted[mine] = wait_asked[mine] && strcmp(job.mode, "latency") == 0;
    if (wait_wanted[mine])
        return;
    wait_asked[mine] = true;
    put_words(link, 'W', 3, "WAIT", "1", strcmp(job.mode, "stream") == 0 ? "500" : "10000");
}

static void peer_consume(Link *link)
{
    put_read(link);
}

/* The WAIT behind the last XACK is there already if all arrived; else it comes now. */
static void peer_settle(Link *link)
{
    if (link->queued[0]++ == 0)
        put_words(link, 'W', 3, "WAIT", "1", "10000");
}

static bool peer_settled(Link *link)
{
    return link->flag;
}

/* The master, as a sentinel knows it; without sentinels it stays where it is. */
static int peer_where(unsigned attempt)
{
    static Link sentinel = {.fd = -1};
    if (job.sentinel_count == 0)
        return job.ports[0];
    int port = -1;
    if (link_dial(&sentinel, job.sentinels[attempt % (unsigned)job.sentinel_count])) {
        put_text(&sentinel, "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$5\r\npeers\r\n");
        const char *found = NULL;
        int64_t begun = now();
        while (sentinel.fd >= 0 && found == NULL && now() - begun < SECOND) {
            link_move(&sentinel);
            const uint8_t *at = unread_at(&sentinel);
            if (unread(&sentinel) > 0 && value_end(at, at + unread(&sentinel)) != NULL)
                found = (const char *)at;
            else
                links_wait(&sentinel, 1, now() + SECOND / 10, false);
        }
        if (found != NULL && strncmp(found, "*2\r\n$9\r\n127.0.0.1\r\n", 19) == 0)
            port = (int)strtol(strchr(found + 19, '\n') + 1, NULL, 10);
    }
    link_close(&sentinel);
    return port;
}

static void mode_declare(void)
{
    Link *link = &publishers[0];
    int64_t begun = now();
    while (!peer_open(link, job.ports[0])) { /* a master that is not there yet */
        if (now() - begun > PATIENCE)
            die("no master on port %d", job.ports[0]);
        links_wait(link, 0, now() + SECOND / 100, false);
    }
    if (job.count == 0 && !peer_declare(link, job.queue))
        die("the queue is refused, or the replicas do not follow");
    char name[256];
    for (uint64_t each = 0; each < job.count; each++) {
        snprintf(name, sizeof name, "%s-%" PRIu64, job.queue, each);
        put_words(link, '?', 6, "XGROUP", "CREATE", name, GROUP, "0", "MKSTREAM");
        if (each % 100 == 99 || each == job.count - 1)
            while (asked_of[0].begin < asked_of[0].end) {
                const char *made = await_value(link, SECOND);
                if (made == NULL || made[0] != '+')
                    die("a queue is refused");
            }
    }
    if (job.count > 0 && !wait_for_both(link))
        die("the replicas do not follow");
    printf("{\"count\": %" PRIu64 ", \"seconds\": %.9f}\n", job.count, (double)(now() - begun) / SECOND);
}
