#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static const char mail[] =
    "From: Ann <ann@example.org>\r\nTo: bob@example.org,\r\n \"Doe, Joe\" <joe@example.org>\r\nSubject: two\r\n  parts\r\n"
    "Content-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\npreamble\r\n--=_x\r\nContent-Type: text/plain\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nSee HTTP://Exam=\r\nple.org/a=3Db now\r\n..dot\r\n--=_x\r\n"
    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Disposition: attachment;\r\n filename=\"a b.bin\"\r\n\r\naGVs\r\nbG8s\r\nIHdvcmxk\r\nIQ==\r\n--=_x--\r\nend\r\n.\r\n";

static void greet(conversation *c)
{
    converse(c, "smtp", REEF_PROTO_TCP, 25);
    say(c, S, "220 mail.example.org ESMTP\r\n");
    say(c, C, "EHLO client.example.org\r\n");
    say(c, S, "250-mail.example.org\r\n250 SIZE 1000\r\n");
}

static void send_mail(conversation *c)
{
    say(c, C, "MAIL FROM:<ann@example.org> SIZE=5\r\n"), say(c, S, "250 ok\r\n");
    say(c, C, "RCPT TO:<bob@example.org>\r\n"), say(c, S, "250 ok\r\n");
    say(c, C, "DATA\r\n"), say(c, S, "354 go\r\n");
}

static const char mail_text[] =
    "\"helo\":\"client.example.org\",\"mail_from\":\"<ann@example.org>\",\"rcpt_to\":[\"<bob@example.org>\"],\"email\":{\"status\":"
    "\"PARSE_DONE\",\"from\":\"Ann <ann@example.org>\",\"to\":[\"bob@example.org\",\"\\\"Doe, Joe\\\" <joe@example.org>\"],\"subject\":"
    "\"two  parts\",\"attachment\":[\"a b.bin\"],\"url\":[\"example.org/a=b\"]},\"files\":[{\"filename\":\"a b.bin\",\"gaps\":false,"
    "\"state\":\"CLOSED\",\"stored\":false,\"size\":13,\"tx_id\":0}] complete\n";

static void a_mail_in_one_piece_or_byte_by_byte(void)
{
    for (unsigned step = 1; step <= sizeof mail; step = step == 1 ? 7 : step == 7 ? (unsigned)sizeof mail - 1 : step + (unsigned)sizeof mail) {
        conversation c;
        greet(&c);
        send_mail(&c);
        for (unsigned at = 0; at < sizeof mail - 1; at += step)
            say_bytes(&c, C, mail + at, sizeof mail - 1 - at < step ? sizeof mail - 1 - at : step, false);
        say(&c, S, "250 taken\r\n");
        say(&c, C, "QUIT\r\n");
        CHECK_TEXT(heard(&c), mail_text);
        CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_FILE_DATA, 0), "hello, world!");
        CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SMTP_RCPT_TO, 0), "<bob@example.org>");
        CHECK(buffer_of(&c, 0, C, REEF_BUFFER_SMTP_RCPT_TO, 1) == NULL);
        CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_EMAIL_SUBJECT, 0), "two  parts");
        CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SMTP_HELO, 0), "client.example.org");
        part(&c);
    }
}

static void chunks_need_not_end_with_lines(void)
{
    conversation c;
    greet(&c);
    say(&c, C, "MAIL FROM:<a@b>\r\n"), say(&c, S, "250 ok\r\n");
    say(&c, C, "BDAT 30\r\nContent-Disposition: x; filenaBDAT 17 LAST\r\nme=y.txt\r\n\r\nhi\nyo");
    say(&c, S, "250 ok\r\n250 ok\r\n");
    CHECK_TEXT(heard(&c), "\"helo\":\"client.example.org\",\"mail_from\":\"<a@b>\",\"email\":{\"status\":\"PARSE_DONE\",\"attachment\":[\"y.txt\"]},"
                          "\"files\":[{\"filename\":\"y.txt\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":5,\"tx_id\":0}] "
                          "bdat_chunk_len_exceeded complete\n");
    part(&c);
}

static void encryption_ends_it(void)
{
    conversation c;
    greet(&c);
    say(&c, C, "STARTTLS\r\n");
    say(&c, S, "220 ready\r\n");
    CHECK(c.call.session->flags & REEF_SESSION_CHANGING);
    CHECK_TEXT(heard(&c), "\"helo\":\"client.example.org\" complete\n");
    part(&c);
}

static void what_is_wrong_is_told(void)
{
    conversation c;
    converse(&c, "smtp", REEF_PROTO_TCP, 25);
    say(&c, C, "EHLO a\r\nEHLO b\r\nDATA\r\nDATA\r\n");
    CHECK_TEXT(heard(&c), "\"helo\":\"a\",\"email\":{\"status\":\"PARSE_ERROR\"} no_server_welcome_message duplicate_fields unparsable_content complete\n"
                          "\"helo\":\"a\",\"email\":{\"status\":\"HEADER_STARTED\"} invalid_pipelined_sequence\n");
    part(&c);
    greet(&c);
    send_mail(&c);
    say(&c, C, "no colon\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain; name=x\r\n\r\n####\r\n");
    say_bytes(&c, C, NULL, 0, true);
    CHECK(strstr(heard(&c), "\"state\":\"TRUNCATED\"") != NULL && strstr(c.text, "mime_malformed_msg") != NULL);
    CHECK(strstr(c.text, "mime_invalid_base64") != NULL);
    part(&c);
}

int main(void)
{
    a_mail_in_one_piece_or_byte_by_byte();
    chunks_need_not_end_with_lines();
    encryption_ends_it();
    what_is_wrong_is_told();
    return 0;
}
