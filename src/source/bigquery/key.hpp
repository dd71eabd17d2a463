// What a credential of kind "bigquery" proves itself with: the text of a Google key file, read and checked. Pure.
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>

namespace headrace::source::bigquery {

enum class AuthKind { service_account, authorized_user, metadata };

struct Key {
    AuthKind kind = AuthKind::metadata;
    std::string project;       // "" = not said
    std::string token_uri;     // where it is exchanged for an access token
    std::string client_email;  // service_account
    std::string key_id;        // service_account; may be ""
    Secret private_key;        // service_account: PEM
    std::string client_id;     // authorized_user
    Secret client_secret;      // authorized_user
    Secret refresh_token;      // authorized_user

    std::string who() const;  // for messages: "service account etl@p.iam.gserviceaccount.com"
};

// Throws config.invalid with a sentence that holds nothing of the text.
Key parse_key(std::string_view text);

}  // namespace headrace::source::bigquery
