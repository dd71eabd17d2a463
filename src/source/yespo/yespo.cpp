#include "source/yespo/yespo.hpp"

#include "source/options.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::yespo {
namespace {

using pipeline::OptionKind;

constexpr std::string_view service = "https://yespo.io/api/v1";

struct Known {
    std::string_view name, type;
};

// Every member of a contact may be missing but its id.
constexpr Known members[] = {
    {"id", "int64! /id"},
    {"first_name", "string /firstName"},
    {"last_name", "string /lastName"},
    {"email", "string /channels/[type=email]/value"},
    {"phone", "string /channels/[type=sms]/value"},
    {"contact_key", "string /contactKey"},
    {"external_customer_id", "string /externalCustomerId"},
    {"address_book_id", "int64 /addressBookId"},
    {"region", "string /address/region"},
    {"town", "string /address/town"},
    {"address", "string /address/address"},
    {"postcode", "string /address/postcode"},
    {"language_code", "string /languageCode"},
    {"time_zone", "string /timeZone"},
    {"channels", "list /channels"},
    {"fields", "list /fields"},
    {"groups", "list /groups"}};

std::vector<pipeline::OptionSpec> options() {
    std::vector<pipeline::OptionSpec> out = {
        {"group", OptionKind::text, true, "", "Id of the group (segment) whose contacts are read.", {}},
        {"url",
         OptionKind::text,
         false,
         "",
         "Base address; else that of the credential, else https://yespo.io/api/v1.",
         {}},
        {"columns", OptionKind::text_list, false, "", "Which of the known columns; else all of them.", {}},
        {"custom_fields", OptionKind::text_map, false, "", "More columns: name to the id of a custom field.", {}},
        {"page_rows", OptionKind::integer, false, "500", "Contacts to ask for at once, 2 to 1000.", {}},
        {"overlap",
         OptionKind::integer,
         false,
         "20",
         "Contacts of the page before that are asked for again, to see that none slipped out.",
         {}},
        {"order",
         OptionKind::choice,
         false,
         "oldest_first",
         "oldest_first asks for new contacts last; server does not ask.",
         {"oldest_first", "server"}},
    };
    for (auto& spec : http::conduct_specs()) {
        out.push_back(std::move(spec));
    }
    return out;
}

http::Columns columns_of(const pipeline::Part& part) {
    http::Columns out;
    const auto wanted = part.options.get_list("columns");
    for (const auto& name : wanted) {
        if (std::none_of(std::begin(members), std::end(members), [&](const Known& one) { return one.name == name; })) {
            refuse_option(
                part, fmt::format("`columns`: a contact has no `{}`; custom fields go into `custom_fields`", name)
            );
        }
    }
    for (const auto& [name, type] : members) {
        if (wanted.empty() || name == "id" || std::find(wanted.begin(), wanted.end(), name) != wanted.end()) {
            out.push_back(*http::parse_column(name, type));
        }
    }
    const auto fields = part.options.get_list("custom_fields");
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const auto& id = fields[i + 1];
        if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
            refuse_option(part, fmt::format("`custom_fields.{}` is the id of a field, a number", fields[i]));
        }
        if (std::any_of(out.begin(), out.end(), [&](const auto& one) { return one.field.name == fields[i]; })) {
            refuse_option(part, fmt::format("`custom_fields.{}`: there is a column of this name already", fields[i]));
        }
        out.push_back(*http::parse_column(fields[i], fmt::format("string /fields/[id={}]/value", id)));
    }
    return out;
}

}  // namespace

http::Config make_config(const pipeline::Part& part, const pipeline::Credential& credential) {
    http::Config out;
    out.service = "Yespo";
    auto base = part.options.get("url");
    base = base.empty() ? setting(credential, "url", service) : base;
    while (base.ends_with('/')) {
        base.pop_back();
    }
    const auto group = part.options.get("group");
    if (group.empty() || group.find_first_not_of("0123456789") != std::string::npos) {
        refuse_option(part, "`group` is the id of a group, a number");
    }
    out.url = fmt::format("{}/group/{}/contacts", base, group);
    auto basic = credential;
    basic.settings["auth"] = "basic";
    out.auth = http::read_auth(basic);
    http::check_target(out.auth, out.url);
    out.headers = {{"Accept", "application/json; charset=UTF-8"}};
    if (part.options.get("order", "oldest_first") == "oldest_first") {
        out.query = {{"orderByTs", "true"}, {"asc", "true"}};
    }
    // Its lists of one element come as that element (JAXB).
    out.single_as_list = true;
    out.columns = columns_of(part);
    out.key = 0;
    auto& plan = out.paging;
    plan.kind = http::PagingKind::offset;
    plan.position = "startindex";
    plan.first = 1;
    plan.size = "maxrows";
    plan.page_rows = part.options.get_int("page_rows", 500);
    plan.overlap = part.options.get_int("overlap", 20);
    plan.keyed = true;
    plan.probe_first = true;
    plan.total = "TotalCount";
    plan.total_is_hint = true;  // it has been seen to be far off
    if (plan.page_rows < 2 || plan.page_rows > 1000) {
        refuse_option(part, "`page_rows` is between 2 and 1000");
    }
    if (plan.overlap < 1 || plan.overlap > plan.page_rows / 2) {
        refuse_option(part, "`overlap` is between 1 and half of `page_rows`");
    }
    http::read_conduct(part, out);
    return out;
}

pipeline::SourceType type(http::EgressCheck egress_check, std::shared_ptr<http::Paces> paces) {
    pipeline::SourceType out;
    out.name = "yespo";
    out.help = "Reads the contacts of a group from Yespo.";
    out.options = options();
    out.needs_credential = true;
    out.make = [egress_check = std::move(egress_check), paces = std::move(paces)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return http::make_source(make_config(part, credential), egress_check, *paces); };
    return out;
}

}  // namespace headrace::source::yespo
