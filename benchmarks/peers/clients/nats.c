/* NATS JetStream: its text protocol; streams of three replicas as work queues, a push consumer, explicit
 * acknowledgements.
 *
 * One rule: where the server has batches of its own (fast ingest, 2.14), they are used if the job asks for
 * batches; single publishes have a confirm each.
 */
#include "modes.h"

#define NAME "c"     /* of the consumer */
#define LEADER "n0"  /* the server of the first port: clients are connected to whom leads */
#define IN_FLIGHT 16 /* requests for queues */

static const int64_t peer_again = SECOND / 10; /* under the same message id, so that it is stored once */
static const bool peer_again_anew = false;

static uint64_t inboxes; /* so many were made; each link has its own, and keeps its number in `first` */
static char answer[65536]; /* the newest one to a request */
static char held[512];   /* the newest delivery's reply subject: it is acknowledged when the next one comes */
static bool streaming;

/* ---- the protocol ---- */

typedef struct {
    char kind; /* 'M'essage, 'P'ong, or '-' for an error */
    int subscription;
    char subject[256], reply[256];
    const uint8_t *headers, *at;
    size_t headers_length, length;
} Message;

static size_t line_length(const uint8_t *at, size_t length)
{
    const uint8_t *end = memchr(at, '\n', length);
    return end == NULL ? 0 : (size_t)(end - at) + 1;
}

/* MSG subject sid [reply] length, or HMSG with the length of the headers before the whole. */
static bool message_line(const char *line, Message *message, size_t *whole)
{
    char words[6][256];
    int count = sscanf(line, "%255s %255s %255s %255s %255s %255s", words[0], words[1], words[2], words[3],
                       words[4], words[5]);
    bool headers = line[0] == 'H';
    int lengths = headers ? 2 : 1;
    if (count < 3 + lengths)
        return false;
    strcpy(message->subject, words[1]);
    message->subscription = atoi(words[2]);
    strcpy(message->reply, count > 3 + lengths ? words[3] : "");
    *whole = strtoul(words[count - 1], NULL, 10);
    message->headers_length = headers ? strtoul(words[count - 2], NULL, 10) : 0;
    return message->headers_length <= *whole;
}

/* The next whole message of what came; what it points to holds until the next link_move. */
static bool message_next(Link *link, Message *message)
{
    while (true) {
        const uint8_t *at = unread_at(link);
        size_t line = line_length(at, unread(link)), whole = 0;
        if (line == 0)
            return false;
        char text[2048];
        size_t kept = line < sizeof text ? line : sizeof text - 1;
        memcpy(text, at, kept);
        text[kept] = 0;
        *message = (Message){.kind = 'M'};
        if (strncmp(text, "MSG ", 4) == 0 || strncmp(text, "HMSG ", 5) == 0) {
            if (!message_line(text, message, &whole))
                die("not understood: %s", text);
            if (unread(link) < line + whole + 2)
                return false;
            message->headers = at + line;
            message->at = at + line + message->headers_length;
            message->length = whole - message->headers_length;
            link->in.begin += line + whole + 2;
            return true;
        }
        link->in.begin += line;
        if (strncmp(text, "PING", 4) == 0) {
            put_text(link, "PONG\r\n");
        } else if (strncmp(text, "PONG", 4) == 0) {
            message->kind = 'P';
            return true;
        } else if (strncmp(text, "-ERR", 4) == 0) {
            fprintf(stderr, "%s", text);
            message->kind = '-';
            return true;
        }
    }
}

/* The answer to a request, in `answer`; false where there is none in time, or it tells an error. What is asked
 * while nobody leads is not answered at all: it is asked again soon, and says the same again. */
static bool request(Link *link, const char *subject, const char *text)
{
    static uint64_t number;
    char inbox[64];
    snprintf(inbox, sizeof inbox, "_I.%dx%" PRIu64 ".r%" PRIu64, (int)getpid(), link->first, ++number);
    put_format(link, "PUB %s %s %zu\r\n", subject, inbox, strlen(text));
    put_text(link, text);
    put_text(link, "\r\n");
    int64_t until = now() + SECOND / 2;
    while (link->fd >= 0 && now() < until) {
        Message message;
        link_move(link);
        while (message_next(link, &message)) {
            if (message.kind != 'M' || strcmp(message.subject, inbox) != 0)
                continue;
            size_t length = message.length < sizeof answer ? message.length : sizeof answer - 1;
            memcpy(answer, message.at, length);
            answer[length] = 0;
            return length > 0 && strstr(answer, "\"error\":") == NULL;
        }
        links_wait(link, 1, until, false);
    }
    snprintf(answer, sizeof answer, "no answer");
    return false;
}

static bool peer_open(Link *link, int port)
{
    Message message;
    if (!link_dial(link, port))
        return false;
    link->first = ++inboxes;
    put_text(link, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
                   "\"protocol\":1}\r\n");
    put_format(link, "SUB _I.%dx%" PRIu64 ".> 1\r\nPING\r\n", (int)getpid(), link->first);
    int64_t begun = now();
    while (link->fd >= 0 && now() - begun < hello_patience()) {
        link_move(link);
        while (message_next(link, &message)) {
            if (message.kind == 'P')
                return true;
        }
        links_wait(link, 1, now() + SECOND / 10, false);
    }
    link_close(link);
    return false;
}

/* ---- declaring ---- */

static void stream_settings(char *text, size_t room, const char *queue)
{
    snprintf(text, room,
             "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"retention\":\"workqueue\",\"storage\":\"file\","
             "\"num_replicas\":3,\"allow_batched\":true}",
             queue, queue);
}

static bool led_by(const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"leader\":\"%s\"", name);
    return strstr(answer, wanted) != NULL;
}

/* Moves the leader of a stream or its consumer to the server that the clients use; best effort. */
static void lead(Link *link, const char *info, const char *step_down)
{
    for (int attempt = 0; attempt < 40; attempt++) {
        if (request(link, info, "") && led_by(LEADER))
            return;
        if (attempt % 10 == 0 && strstr(answer, "\"leader\":") != NULL)
            request(link, step_down, "{\"placement\":{\"preferred\":\"" LEADER "\"}}");
        links_wait(link, 0, now() + SECOND / 20, false);
    }
    fprintf(stderr, "the leader is not moved: %.200s\n", answer);
}

static bool peer_declare(Link *link, const char *queue)
{
    char subject[512], settings[1024], step_down[512];
    stream_settings(settings, sizeof settings, queue);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.%s", queue);
    for (int64_t begun = now(); !request(link, subject, settings);) {
        if (now() - begun > PATIENCE || link->fd < 0)
            return false;
        links_wait(link, 0, now() + SECOND / 50, false);
    }
    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", queue);
    snprintf(step_down, sizeof step_down, "$JS.API.STREAM.LEADER.STEPDOWN.%s", queue);
    if (!job.anywhere)
        lead(link, subject, step_down);
    return true;
}

/* ---- publishing ---- */

static void peer_publish(Link *link, uint64_t number)
{
    char subject[512];
    int length;
    if (job.batches) {
        bool last = number == job.count - 1;
        length = snprintf(subject, sizeof subject,
                          "PUB %s _I.%dx%" PRIu64 ".%" PRIu64 ".fail.%" PRIu64 ".%d.$FI %" PRIu64 "\r\n", job.queue,
                          (int)getpid(), link->first, job.batch, number + 1, number == 0 ? 0 : last ? 2 : 1, job.size);
    } else if (streaming) {
        char header[64];
        int extent = snprintf(header, sizeof header, "NATS/1.0\r\nNats-Msg-Id:%" PRIu64 "\r\n\r\n", number);
        length = snprintf(subject, sizeof subject, "HPUB %s _I.%dx%" PRIu64 ".%" PRIu64 " %d %" PRIu64 "\r\n%s",
                          job.queue, (int)getpid(), link->first, number, extent, job.size + (uint64_t)extent, header);
    } else {
        length = snprintf(subject, sizeof subject, "PUB %s _I.%dx%" PRIu64 ".%" PRIu64 " %" PRIu64 "\r\n", job.queue,
                          (int)getpid(), link->first, number, job.size);
    }
    put(link, subject, (size_t)length);
    put(link, body(number), job.size);
    put(link, "\r\n", 2);
}

static void peer_published(Link *link)
{
    (void)link;
}

/* A batch's answers tell up to which of its messages all are stored; the last is the batch's own confirm. */
static bool take_batch_answer(Link *link, const char *text)
{
    uint64_t upto = 0;
    const char *at;
    if (strstr(text, "\"error\":") != NULL || strstr(text, "\"type\":\"gap\"") != NULL)
        return false;
    if (strstr(text, "\"type\":\"ack\"") != NULL && (at = strstr(text, "\"seq\":")) != NULL)
        upto = strtoull(at + 6, NULL, 10);
    else if ((at = strstr(text, "\"count\":")) != NULL)
        upto = strtoull(at + 8, NULL, 10);
    while (link->tag < upto)
        confirmed(link, link->tag++);
    return true;
}

static bool take_answer(Link *link, const Message *message)
{
    char text[1024];
    size_t length = message->length < sizeof text ? message->length : sizeof text - 1;
    memcpy(text, message->at, length);
    text[length] = 0;
    const char *last = strrchr(message->subject, '.') + 1;
    if (*last == 's') { /* the acknowledgement of the last delivery */
        link->flag = true;
        return true;
    }
    if (*last == 'r') /* of a request that waits no more */
        return true;
    bool good = message->headers_length == 0 && strstr(text, "\"error\":") == NULL;
    if (job.batches)
        good = good && take_batch_answer(link, text);
    else if (good)
        confirmed(link, strtoull(last, NULL, 10));
    if (!good && !streaming)
        fprintf(stderr, "%.*s%s\n", (int)message->headers_length, message->headers, text);
    return good;
}

/* ---- consuming ---- */

static void peer_consume(Link *link)
{
    char subject[512], settings[1024], info[512], step_down[512];
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.CREATE.%s." NAME, job.queue);
    snprintf(settings, sizeof settings,
             "{\"stream_name\":\"%s\",\"action\":\"\",\"config\":{\"durable_name\":\"" NAME "\",\"name\":\"" NAME
             "\",\"deliver_subject\":\"_D.%dx%" PRIu64 "\",\"deliver_policy\":\"all\",\"ack_policy\":\"explicit\","
             "\"ack_wait\":60000000000,\"max_ack_pending\":%" PRIu64 "}}",
             job.queue, (int)getpid(), link->first, job.credit);
    for (int64_t begun = now(); !request(link, subject, settings);) {
        if (now() - begun > PATIENCE || link->fd < 0)
            die("no consumer: %.300s", answer);
        links_wait(link, 0, now() + SECOND / 50, false);
    }
    snprintf(info, sizeof info, "$JS.API.CONSUMER.INFO.%s." NAME, job.queue);
    snprintf(step_down, sizeof step_down, "$JS.API.CONSUMER.LEADER.STEPDOWN.%s." NAME, job.queue);
    lead(link, info, step_down);
    put_format(link, "SUB _D.%dx%" PRIu64 " 2\r\n", (int)getpid(), link->first); /* only now it delivers */
}

static void put_ack(Link *link, bool answered)
{
    if (held[0] == 0)
        return;
    if (answered)
        put_format(link, "PUB %s _I.%dx%" PRIu64 ".s 4\r\n+ACK\r\n", held, (int)getpid(), link->first);
    else
        put_format(link, "PUB %s 4\r\n+ACK\r\n", held);
    held[0] = 0;
}

/* $JS.ACK.stream.consumer.deliveries.stream_seq.consumer_seq.time.pending */
static bool comes_anew(const char *reply)
{
    int word = 0;
    for (const char *at = reply; at != NULL; at = strchr(at, '.'), at += at != NULL, word++)
        if (word == 4)
            return strtoul(at, NULL, 10) > 1;
    return false;
}

static bool peer_take(Link *link)
{
    Message message;
    bool good = true;
    while (message_next(link, &message)) {
        if (message.kind == '-')
            good = false;
        else if (message.kind == 'M' && message.subscription == 1)
            good = take_answer(link, &message) && good;
        else if (message.kind == 'M' && strncmp(message.reply, "$JS.ACK.", 8) == 0) {
            put_ack(link, false);
            strcpy(held, message.reply);
            arrived(message.at, message.length, comes_anew(message.reply));
        }
    }
    return good;
}

/* Acknowledgements are taken in their order: the last one's answer covers all. */
static void peer_settle(Link *link)
{
    if (held[0] == 0)
        link->flag = true;
    put_ack(link, true);
}

static bool peer_settled(Link *link)
{
    return link->flag;
}

static int peer_where(unsigned attempt)
{
    streaming = true;
    return job.ports[attempt % (unsigned)job.port_count];
}

static void mode_declare(void)
{
    Link *link = &publishers[0];
    char name[256], settings[1024];
    int64_t begun = now();
    must_open(link);
    if (job.count == 0 && !peer_declare(link, job.queue))
        die("the queue is refused: %.300s", answer);
    uint64_t asked = 0, answered = 0;
    while (answered < job.count) {
        Message message;
        while (asked < job.count && asked - answered < IN_FLIGHT) {
            snprintf(name, sizeof name, "%s-%" PRIu64, job.queue, asked);
            stream_settings(settings, sizeof settings, name);
            put_format(link, "PUB $JS.API.STREAM.CREATE.%s _I.%dx%" PRIu64 ".%" PRIu64 " %zu\r\n%s\r\n", name,
                       (int)getpid(), link->first, asked++, strlen(settings), settings);
        }
        link_move(link);
        while (message_next(link, &message)) {
            if (message.kind != 'M')
                continue;
            if (memmem(message.at, message.length, "\"error\":", 8) != NULL)
                die("a queue is refused: %.*s", (int)message.length, message.at);
            answered++;
        }
        links_wait(link, 1, now() + SECOND, false);
    }
    printf("{\"count\": %" PRIu64 ", \"seconds\": %.9f}\n", job.count, (double)(now() - begun) / SECOND);
}
