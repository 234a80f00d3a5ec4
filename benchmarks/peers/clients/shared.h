/* What the clients share: the job, the bodies, sockets, and the account of what arrived.
 *
 * One rule: nothing here knows a peer; nothing here is timed by anything but CLOCK_MONOTONIC, which every
 * process of the machine shares.
 */
#ifndef PEERS_SHARED_H
#define PEERS_SHARED_H
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define PATIENCE (60 * SECOND) /* without any progress */
#define LINGER (SECOND / 4)    /* after the last arrival, for a message too many */
#define CHUNK (256 * 1024)
#define UNSENT_MAX (4 * 1024 * 1024)
#define PORTS_MAX 8
#define LINKS_MAX 8

/* ---- time and failure ---- */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- the job: NAME=VALUE arguments ---- */

static struct {
    const char *mode, *queue, *bodies;
    int ports[PORTS_MAX], port_count;
    int sentinels[PORTS_MAX], sentinel_count;
    uint64_t count, size, window, batch, credit, links, rate, warm;
    bool batches;  /* the peer's own batches, where it has them */
    bool audit;    /* report what is missing instead of failing */
    bool anywhere; /* a queue may be led by whichever server it is */
} job = {.window = 1000, .batch = 100, .credit = 10000, .links = 1, .rate = 100};

static int numbers(const char *text, int *into)
{
    int count = 0;
    for (char *end; *text != 0 && count < PORTS_MAX; text = *end == ',' ? end + 1 : end) {
        into[count++] = (int)strtol(text, &end, 10);
        if (end == text || (*end != ',' && *end != 0))
            die("not a list of ports: %s", text);
    }
    return count;
}

static void job_read(int argc, char **argv)
{
    if (argc < 2)
        die("usage: CLIENT MODE NAME=VALUE ...");
    job.mode = argv[1];
    for (int at = 2; at < argc; at++) {
        char *value = strchr(argv[at], '=');
        if (value == NULL)
            die("not NAME=VALUE: %s", argv[at]);
        *value++ = 0;
        const char *name = argv[at];
        uint64_t number = strtoull(value, NULL, 10);
        if (strcmp(name, "queue") == 0)
            job.queue = value;
        else if (strcmp(name, "bodies") == 0)
            job.bodies = value;
        else if (strcmp(name, "ports") == 0)
            job.port_count = numbers(value, job.ports);
        else if (strcmp(name, "sentinels") == 0)
            job.sentinel_count = numbers(value, job.sentinels);
        else if (strcmp(name, "count") == 0)
            job.count = number;
        else if (strcmp(name, "size") == 0)
            job.size = number;
        else if (strcmp(name, "window") == 0)
            job.window = number;
        else if (strcmp(name, "batch") == 0)
            job.batch = number;
        else if (strcmp(name, "credit") == 0)
            job.credit = number;
        else if (strcmp(name, "links") == 0)
            job.links = number;
        else if (strcmp(name, "rate") == 0)
            job.rate = number;
        else if (strcmp(name, "warm") == 0)
            job.warm = number;
        else if (strcmp(name, "batches") == 0)
            job.batches = number != 0;
        else if (strcmp(name, "audit") == 0)
            job.audit = number != 0;
        else if (strcmp(name, "anywhere") == 0)
            job.anywhere = number != 0;
        else
            die("unknown: %s", name);
    }
    if (job.port_count == 0 || job.queue == NULL)
        die("ports= and queue= are needed");
    if (job.links < 1 || job.links > LINKS_MAX || job.window < job.links || job.batch < 1)
        die("links, window or batch out of range");
}

/* ---- bodies: `count` of `size` bytes, one after the other; the first eight bytes are the number ---- */

static const uint8_t *bodies;

static void bodies_open(void)
{
    int fd = open(job.bodies, O_RDONLY);
    struct stat found;
    if (fd < 0 || fstat(fd, &found) != 0)
        die("cannot open %s", job.bodies);
    if (job.size < 8 || (uint64_t)found.st_size < job.count * job.size)
        die("%s does not hold %" PRIu64 " bodies of %" PRIu64 " bytes", job.bodies, job.count, job.size);
    bodies = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (bodies == MAP_FAILED)
        die("cannot map %s", job.bodies);
    close(fd);
}

static const uint8_t *body(uint64_t number)
{
    return bodies + number * job.size;
}

/* ---- what arrived ---- */

static struct {
    uint8_t *seen;
    uint64_t different, duplicates, redelivered; /* duplicates: of those that the peer says it sends anew, none */
    int64_t last;
} arrivals;

static void arrivals_open(void)
{
    arrivals.seen = calloc(job.count + 1, 1);
    arrivals.last = now();
}

static void arrived(const uint8_t *data, size_t length, bool redelivered)
{
    uint64_t number = 0;
    if (length != job.size)
        die("a message of %zu bytes arrived, %" PRIu64 " were sent", length, job.size);
    for (int at = 0; at < 8; at++)
        number = number << 8 | data[at];
    if (number >= job.count || memcmp(data, body(number), length) != 0)
        die("a message arrived that was not sent");
    if (arrivals.seen[number]++ == 0)
        arrivals.different++;
    else if (redelivered)
        arrivals.redelivered++;
    else
        arrivals.duplicates++;
    arrivals.last = now();
}

/* ---- a connection: what came and is not yet used, what is to go ---- */

typedef struct {
    uint8_t *at;
    size_t begin, end, room;
} Buffer;

static void buffer_grow(Buffer *buffer, size_t more)
{
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
    if (buffer->end + more <= buffer->room)
        return;
    memmove(buffer->at, buffer->at + buffer->begin, buffer->end - buffer->begin);
    buffer->end -= buffer->begin;
    buffer->begin = 0;
    if (buffer->end + more > buffer->room) {
        buffer->room = 2 * (buffer->end + more);
        buffer->at = realloc(buffer->at, buffer->room);
        if (buffer->at == NULL)
            die("out of memory");
    }
}

typedef struct {
    int fd; /* -1: closed */
    Buffer in, out;
    uint64_t sent, confirmed;       /* messages of this connection */
    uint64_t first, tag;            /* peers that number them keep their numbers here */
    uint64_t queued[4];             /* more of the peer's own */
    bool flag;
} Link;

/* How long a server may take to greet: in `stream` it may be a stopped one, and there are others. */
static inline int64_t hello_patience(void)
{
    return strcmp(job.mode, "stream") == 0 ? SECOND : PATIENCE;
}

static bool link_dial(Link *link, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, size = 4 * 1024 * 1024;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    Buffer in = link->in, out = link->out;
    memset(link, 0, sizeof *link);
    link->fd = fd;
    link->in = in, link->out = out;
    link->in.begin = link->in.end = link->out.begin = link->out.end = 0;
    return true;
}

static void link_close(Link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static void put(Link *link, const void *data, size_t length)
{
    buffer_grow(&link->out, length);
    memcpy(link->out.at + link->out.end, data, length);
    link->out.end += length;
}

static void put_text(Link *link, const char *text)
{
    put(link, text, strlen(text));
}

__attribute__((unused, format(printf, 2, 3))) static void put_format(Link *link, const char *format, ...)
{
    va_list arguments;
    char text[2048];
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        die("a request is too long");
    put(link, text, (size_t)length);
}

static size_t unsent(const Link *link)
{
    return link->out.end - link->out.begin;
}

static size_t unread(const Link *link)
{
    return link->in.end - link->in.begin;
}

static uint8_t *unread_at(const Link *link)
{
    return link->in.at + link->in.begin;
}

/* Sends and receives what goes without waiting; closes the link where its other end did. A zero stands behind
 * what came. */
static void link_move(Link *link)
{
    while (link->fd >= 0 && unsent(link) > 0) {
        ssize_t moved = send(link->fd, link->out.at + link->out.begin, unsent(link), MSG_NOSIGNAL);
        if (moved > 0)
            link->out.begin += (size_t)moved;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            link_close(link);
    }
    while (link->fd >= 0) {
        buffer_grow(&link->in, CHUNK);
        size_t room = link->in.room - link->in.end - 1;
        ssize_t moved = recv(link->fd, link->in.at + link->in.end, room, 0);
        if (moved > 0)
            link->in.end += (size_t)moved;
        link->in.at[link->in.end] = 0;
        if (moved > 0 && (size_t)moved == room)
            continue;
        if (moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR))
            link_close(link);
        break;
    }
}

/* Waits until something can be moved on one of the links, standard input, or `until`; true: input came. */
static bool links_wait(Link *links, size_t count, int64_t until, bool input)
{
    struct pollfd entries[2 * LINKS_MAX + 1];
    nfds_t used = 0;
    for (size_t at = 0; at < count; at++) {
        if (links[at].fd < 0)
            continue;
        short events = POLLIN;
        if (unsent(&links[at]) > 0)
            events |= POLLOUT;
        entries[used++] = (struct pollfd){.fd = links[at].fd, .events = events};
    }
    if (input)
        entries[used++] = (struct pollfd){.fd = 0, .events = POLLIN};
    int64_t left = until - now();
    struct timespec limit = {0, 0};
    if (left > 0)
        limit = (struct timespec){.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
    ppoll(entries, used, &limit, NULL);
    return input && entries[used - 1].revents != 0;
}

#endif
