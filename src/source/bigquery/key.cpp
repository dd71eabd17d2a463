#include "source/bigquery/key.hpp"

#include "base/error.hpp"
#include "source/bigquery/dom.hpp"

namespace headrace::source::bigquery {
namespace {

constexpr std::string_view google_token_uri = "https://oauth2.googleapis.com/token";

std::string wanted(const dom::element& document, std::string_view name) {
    auto value = dom::text(document, name);
    if (value.empty()) {
        throw Error(
            ErrorKind::invalid, "config.invalid", "the secret has no `" + std::string(name) + "`: is it a key file?"
        );
    }
    return value;
}

}  // namespace

std::string Key::who() const {
    switch (kind) {
        case AuthKind::service_account:
            return "service account " + client_email;
        case AuthKind::authorized_user:
            return "authorized user of client " + client_id;
        case AuthKind::metadata:
            break;
    }
    return "this machine's service account";
}

Key parse_key(std::string_view text) {
    simdjson::dom::parser parser;
    dom::element document;
    if (parser.parse(text.data(), text.size()).get(document) != simdjson::SUCCESS || !document.is_object()) {
        throw Error(ErrorKind::invalid, "config.invalid", "the secret is not the JSON text of a Google key file")
            .with_hint("Store the whole file: headrace credential set NAME --kind bigquery --secret-file key.json …");
    }
    Key out;
    const auto type = dom::text(document, "type");
    out.token_uri = dom::text(document, "token_uri");
    if (out.token_uri.empty()) {
        out.token_uri = google_token_uri;
    }
    if (type == "service_account") {
        out.kind = AuthKind::service_account;
        out.project = dom::text(document, "project_id");
        out.client_email = wanted(document, "client_email");
        out.key_id = dom::text(document, "private_key_id");
        out.private_key = Secret(wanted(document, "private_key"));
    } else if (type == "authorized_user") {
        out.kind = AuthKind::authorized_user;
        out.project = dom::text(document, "quota_project_id");
        out.client_id = wanted(document, "client_id");
        out.client_secret = Secret(wanted(document, "client_secret"));
        out.refresh_token = Secret(wanted(document, "refresh_token"));
    } else {
        throw Error(
            ErrorKind::invalid, "config.invalid", "the key file's `type` is neither service_account nor authorized_user"
        );
    }
    return out;
}

}  // namespace headrace::source::bigquery
