// Roles, each of which may do what the ones before it may.
#pragma once

#include <optional>
#include <string_view>

namespace headrace::auth {

enum class Role { viewer, op, editor, admin };  // `operator` is a word of the language

constexpr std::string_view to_string(Role role) {
    switch (role) {
        case Role::viewer:
            return "viewer";
        case Role::op:
            return "operator";
        case Role::editor:
            return "editor";
        case Role::admin:
            return "admin";
    }
    return "viewer";
}

constexpr std::optional<Role> parse_role(std::string_view text) {
    for (const auto role : {Role::viewer, Role::op, Role::editor, Role::admin}) {
        if (text == to_string(role)) {
            return role;
        }
    }
    return std::nullopt;
}

}  // namespace headrace::auth
