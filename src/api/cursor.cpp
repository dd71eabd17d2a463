#include "api/cursor.hpp"

#include "api/json_writer.hpp"
#include "api/problem.hpp"
#include "auth/cookie.hpp"
#include "base/encoding.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>
#include <sodium.h>

namespace headrace::api {
namespace {

constexpr std::size_t mac_bytes = 12;

std::string mac(std::string_view key, std::string_view payload) {
    return base64url_encode(auth::hmac_sha256(key, payload).substr(0, mac_bytes));
}

Problem refused(std::string detail) {
    return Problem("api.invalid_cursor", std::move(detail));
}

}  // namespace

CursorCodec::CursorCodec(const Secret& secret) : key_(auth::hmac_sha256(secret.reveal(), "headrace cursor 1")) {}

std::string CursorCodec::encode(const Cursor& cursor, std::string_view filter) const {
    JsonWriter json;
    json.begin_object().key("v").number(1).key("k").begin_array();
    json.text(cursor.queued_at).text(cursor.run_id).end();
    json.key("f").text(auth::sha256_hex(filter).substr(0, 16)).end();
    const auto payload = base64url_encode(json.str());
    return payload + "." + mac(key_, payload);
}

Cursor CursorCodec::decode(std::string_view text, std::string_view filter) const {
    const auto dot = text.find('.');
    if (dot == std::string_view::npos || text.size() > 1024) {
        throw refused("the cursor is malformed");
    }
    const auto payload = text.substr(0, dot);
    const auto expected = mac(key_, payload);
    if (text.size() - dot - 1 != expected.size() ||
        sodium_memcmp(expected.data(), text.data() + dot + 1, expected.size()) != 0) {
        throw refused("the cursor was not made by this server");
    }
    const auto bytes = base64url_decode(payload);
    boost::json::error_code error;
    const auto value = boost::json::parse(bytes.value_or(""), error);
    if (error || !value.is_object() || !value.as_object().contains("v") || value.at("v") != 1) {
        throw refused("the cursor is of another version");
    }
    if (value.at("f").as_string() != auth::sha256_hex(filter).substr(0, 16)) {
        throw refused("the cursor belongs to other filters");
    }
    const auto& key = value.at("k").as_array();
    return {std::string(key.at(0).as_string()), std::string(key.at(1).as_string())};
}

}  // namespace headrace::api
