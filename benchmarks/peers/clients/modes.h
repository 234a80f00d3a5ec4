/* What is done with a peer, whichever it is; each client defines the functions declared here.
 *
 * One rule: the clock runs from the first publish to the last confirm, of the acknowledgements where messages
 * are consumed as well; a link that closes, or a peer that refuses, is an error, except in `stream`.
 */
#ifndef PEERS_MODES_H
#define PEERS_MODES_H

#include "shared.h"

/* Dials and shakes hands; false where the other end is not there or closes. */
static bool peer_open(Link *link, int port);
/* Declares the queue of the job as the peer's best replicated one; false as above. */
static bool peer_declare(Link *link, const char *queue);
/* Puts the publish of a body; calls of one link have rising numbers. */
static void peer_publish(Link *link, uint64_t number);
/* Nothing more is put for now: what was put since the last call is to be confirmed. */
static void peer_published(Link *link);
/* Starts consuming the queue. */
static void peer_consume(Link *link);
/* Uses what came: calls confirmed(), arrived() and puts acknowledgements; false: the peer refused something. */
static bool peer_take(Link *link);
/* Nothing more will arrive: puts what makes the peer say that the acknowledgements are settled. */
static void peer_settle(Link *link);
/* True once it said so. */
static bool peer_settled(Link *link);
/* Where to connect next, in `stream`; -1: not known yet. */
static int peer_where(unsigned attempt);
/* How long `stream` waits for a confirm before it sends the same message again, on the same link or anew; after
 * SILENCE without any, always anew. */
static const int64_t peer_again;
static const bool peer_again_anew;

#define SILENCE (2 * SECOND)

static Link publishers[LINKS_MAX], consumer = {.fd = -1};
static uint64_t confirmed_count, confirmed_last;
static int64_t *begun_at, *confirmed_at;

/* A number is confirmed: called by peer_take, once for each. */
static void confirmed(Link *link, uint64_t number)
{
    if (number >= job.count)
        die("confirmed was what was never sent: %" PRIu64, number);
    link->confirmed++;
    confirmed_count++;
    confirmed_last = number;
    if (confirmed_at != NULL)
        confirmed_at[number] = now();
}

static void must_open(Link *link)
{
    if (!peer_open(link, job.ports[0]))
        die("cannot connect to port %d", job.ports[0]);
}

static void must_take(Link *link)
{
    link_move(link);
    if (!peer_take(link))
        die("the peer refused");
    if (link->fd < 0)
        die("the peer closed the connection");
}

static void progress_check(int64_t since)
{
    if (now() - since > PATIENCE)
        die("no progress: %" PRIu64 " confirmed, %" PRIu64 " arrived", confirmed_count, arrivals.different);
}

/* Gives each publisher as much as its window allows; `next` is the first number not yet sent. */
static void feed(uint64_t *next)
{
    uint64_t window = job.window / job.links;
    for (size_t at = 0; at < job.links; at++) {
        Link *link = &publishers[at];
        uint64_t before = *next;
        while (*next < job.count && link->sent - link->confirmed < window && unsent(link) < UNSENT_MAX) {
            peer_publish(link, (*next)++);
            link->sent++;
        }
        if (*next > before)
            peer_published(link);
    }
}

static void report_run(int64_t begun, int64_t ended)
{
    printf("{\"count\": %" PRIu64 ", \"seconds\": %.9f, \"duplicates\": %" PRIu64 ", \"redelivered\": %" PRIu64
           "}\n",
           job.count, (double)(ended - begun) / SECOND, arrivals.duplicates, arrivals.redelivered);
}

static void mode_publish(void)
{
    for (size_t at = 0; at < job.links; at++)
        must_open(&publishers[at]);
    uint64_t next = 0, before = 0;
    int64_t begun = now(), progress = begun;
    while (confirmed_count < job.count) {
        feed(&next);
        for (size_t at = 0; at < job.links; at++)
            must_take(&publishers[at]);
        if (confirmed_count == before)
            links_wait(publishers, job.links, now() + SECOND, false);
        else
            progress = now();
        before = confirmed_count;
        progress_check(progress);
    }
    report_run(begun, now());
}

/* Consumes, and publishes at the same time where `publishing`. */
static void consume(bool publishing)
{
    static Link all[LINKS_MAX + 1];
    arrivals_open();
    for (size_t at = 0; publishing && at < job.links; at++)
        must_open(&publishers[at]);
    must_open(&consumer);
    peer_consume(&consumer);
    uint64_t next = 0, moved = 0;
    int64_t begun = now(), progress = begun, ended = 0;
    bool settling = false;
    while (ended == 0 || now() - ended < LINGER) {
        if (publishing && confirmed_count < job.count)
            feed(&next);
        for (size_t at = 0; publishing && at < job.links; at++)
            must_take(&publishers[at]);
        must_take(&consumer);
        bool stalled = job.audit && now() - arrivals.last > 5 * SECOND;
        if (!settling && (arrivals.different == job.count || stalled)) {
            peer_settle(&consumer);
            settling = true;
            continue;
        }
        if (ended == 0 && settling && peer_settled(&consumer) && (!publishing || confirmed_count == job.count))
            ended = now();
        uint64_t sum = arrivals.different + arrivals.duplicates + arrivals.redelivered + confirmed_count;
        if (sum != moved) {
            moved = sum;
            progress = now();
            continue;
        }
        size_t used = 0;
        for (size_t at = 0; publishing && at < job.links; at++)
            all[used++] = publishers[at];
        all[used++] = consumer;
        links_wait(all, used, now() + SECOND / 20, false);
        progress_check(progress);
    }
    if (job.audit)
        printf("{\"count\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"duplicates\": %" PRIu64
               ", \"redelivered\": %" PRIu64 "}\n",
               arrivals.different, job.count - arrivals.different, arrivals.duplicates, arrivals.redelivered);
    else
        report_run(begun, ended);
}

/* At even times, each whether or not those before are confirmed; a wait begins when its time has come. */
static void mode_latency(void)
{
    begun_at = calloc(job.count, sizeof *begun_at);
    confirmed_at = calloc(job.count, sizeof *confirmed_at);
    Link *link = &publishers[0];
    must_open(link);
    uint64_t next = 0;
    int64_t start = now() + SECOND / 10;
    while (confirmed_count < job.count) {
        int64_t due = start + (int64_t)next * SECOND / (int64_t)job.rate;
        while (next < job.count && due <= now()) {
            begun_at[next] = due;
            peer_publish(link, next++);
            link->sent++;
            peer_published(link);
            due = start + (int64_t)next * SECOND / (int64_t)job.rate;
        }
        must_take(link);
        progress_check(next == job.count ? due : now());
        links_wait(link, 1, next < job.count ? due : now() + SECOND, false);
    }
    printf("{\"count\": %" PRIu64 ", \"waits_ms\": [", job.count);
    for (uint64_t number = job.warm; number < job.count; number++)
        printf("%s%.6f", number == job.warm ? "" : ", ",
               (double)(confirmed_at[number] - begun_at[number]) / 1e6);
    printf("]}\n");
}

/* One message after the other, each until it is confirmed, over whatever happens to the peer; a line of two
 * moments for each. Ends between two of them once standard input ends. */
static void mode_stream(void)
{
    Link *link = &publishers[0];
    link->fd = -1;
    uint64_t number = 0;
    unsigned attempt = 0; /* it goes on from message to message: one that went silent is not the next to be asked */
    for (bool ended = false; !ended && number < job.count; number++) {
        int64_t begun = now(), tried = 0, opened = begun;
        bool sent = false;
        confirmed_last = UINT64_MAX;
        while (confirmed_last != number) { /* one sent twice may be confirmed twice */
            if (link->fd < 0) {
                int port = peer_where(attempt++);
                sent = false;
                if (port < 0 || !peer_open(link, port)) {
                    links_wait(link, 0, now() + SECOND / 200, false);
                    continue;
                }
                opened = now();
            }
            if (!sent) {
                peer_publish(link, number);
                link->sent++;
                peer_published(link);
                sent = true;
                tried = now();
            }
            link_move(link);
            if (!peer_take(link)) {
                links_wait(link, 0, now() + SECOND / 200, false);
                sent = false;
                if (peer_again_anew)
                    link_close(link);
            } else if (confirmed_last != number && link->fd >= 0) {
                links_wait(link, 1, tried + peer_again, false);
                if (now() - tried >= peer_again) {
                    sent = false;
                    if (peer_again_anew || now() - opened >= SILENCE)
                        link_close(link);
                }
            }
        }
        printf("%" PRId64 " %" PRId64 "\n", begun, now());
        fflush(stdout);
        ended = links_wait(link, 0, now(), true);
    }
    printf("{\"confirmed\": %" PRIu64 "}\n", number);
}

static void mode_declare(void);

int main(int argc, char **argv)
{
    job_read(argc, argv);
    prctl(PR_SET_TIMERSLACK, 1UL); /* 50 microseconds else, which would be added to each wait */
    if (strcmp(job.mode, "declare") == 0) {
        mode_declare();
        return 0;
    }
    bodies_open();
    if (strcmp(job.mode, "publish") == 0)
        mode_publish();
    else if (strcmp(job.mode, "consume") == 0)
        consume(false);
    else if (strcmp(job.mode, "both") == 0)
        consume(true);
    else if (strcmp(job.mode, "latency") == 0)
        mode_latency();
    else if (strcmp(job.mode, "stream") == 0)
        mode_stream();
    else
        die("unknown mode: %s", job.mode);
    return 0;
}

#endif
