/* RabbitMQ: AMQP 0-9-1, framed by hand; quorum queues, publisher confirms, acknowledgements of many at once.
 *
 * One rule: many frames are one write; the broker's confirms and our acknowledgements cover as many messages as
 * they can.
 */
#include "modes.h"

enum { METHOD = 1, HEADER = 2, BODY = 3, HEARTBEAT = 8, END = 0xCE };
#define ID(class, method) ((class) << 16 | (method))
enum {
    CONNECTION_START = ID(10, 10),
    CONNECTION_START_OK = ID(10, 11),
    CONNECTION_TUNE = ID(10, 30),
    CONNECTION_TUNE_OK = ID(10, 31),
    CONNECTION_OPEN = ID(10, 40),
    CONNECTION_OPEN_OK = ID(10, 41),
    CONNECTION_CLOSE = ID(10, 50),
    CHANNEL_OPEN = ID(20, 10),
    CHANNEL_OPEN_OK = ID(20, 11),
    CHANNEL_CLOSE = ID(20, 40),
    QUEUE_DECLARE = ID(50, 10),
    QUEUE_DECLARE_OK = ID(50, 11),
    BASIC_QOS = ID(60, 10),
    BASIC_QOS_OK = ID(60, 11),
    BASIC_CONSUME = ID(60, 20),
    BASIC_CONSUME_OK = ID(60, 21),
    BASIC_PUBLISH = ID(60, 40),
    BASIC_DELIVER = ID(60, 60),
    BASIC_ACK = ID(60, 80),
    BASIC_NACK = ID(60, 120),
    CONFIRM_SELECT = ID(85, 10),
    CONFIRM_SELECT_OK = ID(85, 11),
};
enum { PASSIVE = 1, DURABLE = 2 };
#define FRAME_MAX 131072
#define CHANNELS 16

static const int64_t peer_again = 5 * SECOND; /* a publish is kept while there is no leader, and sent then */
static const bool peer_again_anew = true;

/* ---- encoding ---- */

static void put_number(Link *link, uint64_t value, int bytes)
{
    uint8_t data[8];
    for (int at = 0; at < bytes; at++)
        data[at] = (uint8_t)(value >> 8 * (bytes - 1 - at));
    put(link, data, (size_t)bytes);
}

static void put_short_text(Link *link, const char *text)
{
    put_number(link, strlen(text), 1);
    put_text(link, text);
}

/* A frame whose length is not known yet; returns where its payload begins, counted from the buffer's begin. */
static size_t frame_begin(Link *link, int type, int channel)
{
    put_number(link, (uint64_t)type, 1);
    put_number(link, (uint64_t)channel, 2);
    put_number(link, 0, 4);
    return unsent(link);
}

static void frame_end(Link *link, size_t payload)
{
    uint64_t length = unsent(link) - payload;
    uint8_t *at = link->out.at + link->out.begin + payload - 4;
    for (int byte = 0; byte < 4; byte++)
        at[byte] = (uint8_t)(length >> 8 * (3 - byte));
    put_number(link, END, 1);
}

static size_t method_begin(Link *link, int channel, uint32_t id)
{
    size_t payload = frame_begin(link, METHOD, channel);
    put_number(link, id, 4);
    return payload;
}

static void put_declare(Link *link, int channel, const char *queue, int bits)
{
    size_t payload = method_begin(link, channel, QUEUE_DECLARE);
    put_number(link, 0, 2);
    put_short_text(link, queue);
    put_number(link, (uint64_t)bits, 1);
    static const char name[] = "x-queue-type", value[] = "quorum";
    put_number(link, 1 + strlen(name) + 1 + 4 + strlen(value), 4);
    put_short_text(link, name);
    put_number(link, 'S', 1);
    put_number(link, strlen(value), 4);
    put_text(link, value);
    frame_end(link, payload);
}

static void put_ack(Link *link)
{
    size_t payload = method_begin(link, 1, BASIC_ACK);
    put_number(link, link->tag, 8);
    put_number(link, 1, 1);
    frame_end(link, payload);
    link->queued[0] = 0;
}

/* ---- decoding ---- */

static uint64_t number_at(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int byte = 0; byte < bytes; byte++)
        value = value << 8 | at[byte];
    return value;
}

typedef struct {
    int type, channel;
    uint32_t method;
    const uint8_t *at; /* after the method's id */
    size_t length;
} Frame;

/* The next whole frame of what came; what it points to holds until the next link_move. */
static bool frame_next(Link *link, Frame *frame)
{
    const uint8_t *at = unread_at(link);
    if (unread(link) < 8)
        return false;
    size_t length = number_at(at + 3, 4);
    if (length > FRAME_MAX)
        die("a frame of %zu bytes", length);
    if (unread(link) < length + 8)
        return false;
    if (at[length + 7] != END)
        die("a frame without its end");
    *frame = (Frame){.type = at[0], .channel = (int)number_at(at + 1, 2), .at = at + 7, .length = length};
    if (frame->type == METHOD) {
        frame->method = (uint32_t)number_at(frame->at, 4);
        frame->at += 4;
        frame->length -= 4;
    }
    link->in.begin += length + 8;
    if (frame->method == CONNECTION_CLOSE || frame->method == CHANNEL_CLOSE) {
        if (strcmp(job.mode, "stream") != 0)
            fprintf(stderr, "%.*s\n", frame->at[2], frame->at + 3);
        link_close(link);
        return false;
    }
    return true;
}

/* Until the method comes, what comes before it is dropped; false where the connection closes. */
static bool await_method(Link *link, uint32_t method, Frame *frame)
{
    int64_t begun = now();
    while (link->fd >= 0 && now() - begun < hello_patience()) {
        link_move(link);
        while (frame_next(link, frame))
            if (frame->method == method)
                return true;
        links_wait(link, 1, now() + SECOND / 10, false);
    }
    link_close(link);
    return false;
}

/* ---- what the modes want ---- */

static bool open_connection(Link *link, int port)
{
    Frame frame;
    if (!link_dial(link, port))
        return false;
    put(link, "AMQP\0\0\11\1", 8);
    if (!await_method(link, CONNECTION_START, &frame))
        return false;
    size_t payload = method_begin(link, 0, CONNECTION_START_OK);
    static const char capability[] = "basic.nack";
    put_number(link, 1 + 12 + 1 + 4 + 1 + strlen(capability) + 2, 4);
    put_short_text(link, "capabilities");
    put_number(link, 'F', 1);
    put_number(link, 1 + strlen(capability) + 2, 4);
    put_short_text(link, capability);
    put_number(link, 't', 1);
    put_number(link, 1, 1);
    put_short_text(link, "PLAIN");
    put_number(link, 12, 4);
    put(link, "\0guest\0guest", 12);
    put_short_text(link, "en_US");
    frame_end(link, payload);
    if (!await_method(link, CONNECTION_TUNE, &frame))
        return false;
    payload = method_begin(link, 0, CONNECTION_TUNE_OK);
    put_number(link, CHANNELS, 2);
    put_number(link, FRAME_MAX, 4);
    put_number(link, 0, 2); /* no heartbeats */
    frame_end(link, payload);
    payload = method_begin(link, 0, CONNECTION_OPEN);
    put_short_text(link, "/");
    put_number(link, 0, 2);
    frame_end(link, payload);
    return await_method(link, CONNECTION_OPEN_OK, &frame);
}

static bool open_channel(Link *link, int channel)
{
    Frame frame;
    size_t payload = method_begin(link, channel, CHANNEL_OPEN);
    put_number(link, 0, 1);
    frame_end(link, payload);
    return await_method(link, CHANNEL_OPEN_OK, &frame);
}

static bool peer_open(Link *link, int port)
{
    Frame frame;
    if (!open_connection(link, port) || !open_channel(link, 1))
        return false;
    size_t payload = method_begin(link, 1, CONFIRM_SELECT);
    put_number(link, 0, 1);
    frame_end(link, payload);
    if (!await_method(link, CONFIRM_SELECT_OK, &frame))
        return false;
    link->tag = 1;
    return true;
}

static bool peer_declare(Link *link, const char *queue)
{
    Frame frame;
    put_declare(link, 1, queue, DURABLE);
    return await_method(link, QUEUE_DECLARE_OK, &frame);
}

static void peer_publish(Link *link, uint64_t number)
{
    if (link->sent == 0)
        link->first = number; /* tag 1 of this channel */
    size_t payload = method_begin(link, 1, BASIC_PUBLISH);
    put_number(link, 0, 2);
    put_short_text(link, "");
    put_short_text(link, job.queue);
    put_number(link, 0, 1);
    frame_end(link, payload);
    payload = frame_begin(link, HEADER, 1);
    put_number(link, 60, 2);
    put_number(link, 0, 2);
    put_number(link, job.size, 8);
    put_number(link, 0x1000, 2);
    put_number(link, 2, 1); /* persistent */
    frame_end(link, payload);
    for (uint64_t at = 0; at < job.size;) {
        uint64_t part = job.size - at < FRAME_MAX - 8 ? job.size - at : FRAME_MAX - 8;
        payload = frame_begin(link, BODY, 1);
        put(link, body(number) + at, part);
        frame_end(link, payload);
        at += part;
    }
}

static void peer_published(Link *link)
{
    (void)link;
}

static void peer_consume(Link *link)
{
    Frame frame;
    size_t payload = method_begin(link, 1, BASIC_QOS);
    put_number(link, 0, 4);
    put_number(link, job.credit, 2);
    put_number(link, 0, 1);
    frame_end(link, payload);
    if (!await_method(link, BASIC_QOS_OK, &frame))
        die("no credit");
    payload = method_begin(link, 1, BASIC_CONSUME);
    put_number(link, 0, 2);
    put_short_text(link, job.queue);
    put_short_text(link, "");
    put_number(link, 0, 1);
    put_number(link, 0, 4);
    frame_end(link, payload);
    if (!await_method(link, BASIC_CONSUME_OK, &frame))
        die("cannot consume");
}

/* The confirm of a tag, or of all up to it. Each tag is confirmed once; link->tag is the first that is not. */
static void take_confirm(Link *link, uint64_t tag, bool multiple)
{
    static uint8_t *done;
    if (done == NULL)
        done = calloc(job.count + 1, 1);
    for (uint64_t each = multiple ? link->tag : tag; each <= tag; each++) {
        uint64_t number = link->first + each - 1;
        if (each < link->tag || number >= job.count || done[number])
            continue;
        done[number] = 1;
        confirmed(link, number);
    }
    while (link->tag <= link->sent && done[link->first + link->tag - 1])
        link->tag++;
}

static void take_body(Link *link, const Frame *frame)
{
    static uint8_t *whole;
    if (frame->length == job.size) {
        arrived(frame->at, frame->length, link->queued[2] != 0);
    } else {
        if (whole == NULL)
            whole = malloc(job.size);
        if (link->queued[1] + frame->length > job.size)
            die("a message is too long");
        memcpy(whole + link->queued[1], frame->at, frame->length);
        link->queued[1] += frame->length;
        if (link->queued[1] < job.size)
            return;
        arrived(whole, job.size, link->queued[2] != 0);
    }
    link->queued[1] = 0;
    if (++link->queued[0] >= job.batch)
        put_ack(link);
}

/* queued[0]: arrived and not acknowledged; queued[1]: bytes of a message whose frames are not all here;
 * queued[2]: whether it comes anew. */
static bool peer_take(Link *link)
{
    Frame frame;
    while (frame_next(link, &frame)) {
        if (frame.type == BODY)
            take_body(link, &frame);
        else if (frame.method == BASIC_ACK)
            take_confirm(link, number_at(frame.at, 8), frame.at[8] & 1);
        else if (frame.method == BASIC_NACK)
            return false;
        else if (frame.method == BASIC_DELIVER) {
            link->tag = number_at(frame.at + 1 + frame.at[0], 8);
            link->queued[2] = frame.at[9 + frame.at[0]];
        } else if (frame.method == QUEUE_DECLARE_OK)
            link->flag = true;
    }
    return true;
}

/* AMQP confirms no acknowledgement; the answer to what follows them on the channel is what there is. */
static void peer_settle(Link *link)
{
    if (link->queued[0] > 0)
        put_ack(link);
    put_declare(link, 1, job.queue, PASSIVE | DURABLE);
}

static bool peer_settled(Link *link)
{
    return link->flag;
}

static int peer_where(unsigned attempt)
{
    return job.ports[attempt % (unsigned)job.port_count];
}

/* One queue, or `count` of them, each channel declaring one after the other. */
static void mode_declare(void)
{
    Link *link = &publishers[0];
    must_open(link);
    int64_t begun = now();
    if (job.count == 0 && !peer_declare(link, job.queue))
        die("the queue is refused");
    uint64_t asked = 0, answered = 0;
    char name[256];
    for (int channel = 2; job.count > 0 && channel <= CHANNELS; channel++)
        if (!open_channel(link, channel))
            die("no channel");
    for (int channel = 1; channel <= CHANNELS && asked < job.count; channel++, asked++) {
        snprintf(name, sizeof name, "%s-%" PRIu64, job.queue, asked);
        put_declare(link, channel, name, DURABLE);
    }
    while (answered < job.count) {
        Frame frame;
        if (!await_method(link, QUEUE_DECLARE_OK, &frame))
            die("a queue is refused");
        answered++;
        if (asked < job.count) {
            snprintf(name, sizeof name, "%s-%" PRIu64, job.queue, asked++);
            put_declare(link, frame.channel, name, DURABLE);
        }
    }
    printf("{\"count\": %" PRIu64 ", \"seconds\": %.9f}\n", job.count, (double)(now() - begun) / SECOND);
}
