#include "redis/script.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/encoding.hpp"
#include "redis/resp.hpp"

#include <openssl/sha.h>

#include <vector>

namespace headrace::redis {
namespace {

// The old one-shot calls on purpose: the EVP interface loads OpenSSL's providers and configuration, three megabytes of
// an idle worker, for the names of fifty scripts. SHA-1 is Redis' choice and no security depends on it.
std::string sha1_hex(std::string_view text) {
    std::string digest(SHA_DIGEST_LENGTH, '\0');
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, text.data(), text.size());
    SHA1_Final(reinterpret_cast<unsigned char*>(digest.data()), &context);
    return hex_encode(digest);
}

}  // namespace

Script::Script(std::string_view script_name, std::size_t keys, std::string_view text)
    : name(script_name), key_count(keys), body(text), sha1(sha1_hex(text)) {}

void append_evalsha_head(std::string& out, const Script& script, std::size_t args) {
    append_head(out, 3 + args);
    append_argument(out, "EVALSHA");
    append_argument(out, script.sha1);
    append_argument(out, static_cast<std::int64_t>(script.key_count));
}

std::string as_eval(std::string_view evalsha, const Script& script) {
    std::string old_name;
    append_argument(old_name, "EVALSHA");
    append_argument(old_name, script.sha1);
    const auto count = evalsha.substr(0, evalsha.find('\n') + 1);
    if (!evalsha.substr(count.size()).starts_with(old_name)) {
        throw Error(ErrorKind::bug, "internal.bug", "not a call of script " + script.name);
    }
    std::string out(count);
    append_argument(out, "EVAL");
    append_argument(out, script.body);
    out.append(evalsha.substr(count.size() + old_name.size()));
    return out;
}

bool is_no_script(const ReplyPart& reply) {
    return reply.is_error() && reply.error_text().starts_with("NOSCRIPT");
}

Reply eval(Connection& connection, const Script& script, Connection::Args keys_and_args) {
    const std::string keys = std::to_string(script.key_count);
    std::vector<std::string_view> args = {"EVALSHA", script.sha1, keys};
    args.insert(args.end(), keys_and_args.begin(), keys_and_args.end());
    auto reply = connection.command_raw(args);
    if (is_no_script(reply)) {
        args[0] = "EVAL";
        args[1] = script.body;
        reply = connection.command_raw(args);
    }
    return checked(std::move(reply));
}

void load(Connection& connection, std::span<const Script* const> scripts) {
    for (const auto* script : scripts) {
        const std::string_view args[] = {"SCRIPT", "LOAD", script->body};
        connection.append_by_reference(args);
    }
    std::optional<Error> failure;
    for (const auto* script : scripts) {
        auto reply = connection.read_reply();
        if (reply.is_error() && !failure) {
            failure = error_of(reply);
        } else if (!reply.is_error() && reply.str() != script->sha1) {
            throw Error(
                ErrorKind::permanent, "redis.protocol", "Redis computes another SHA1 for script " + script->name
            );
        }
    }
    if (failure) {
        throw *failure;
    }
}

}  // namespace headrace::redis
