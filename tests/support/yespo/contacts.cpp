#include "support/yespo/contacts.hpp"

#include "base/json_text.hpp"

#include <string_view>
#include <vector>

namespace headrace::support::yespo {
namespace {

constexpr std::string_view first_names[] = {"Олена", "Andrii", "Ірина", "Zoë", "Taras", "София", "Yurii", "Kateryna"};
constexpr std::string_view towns[] = {"Київ", "Lviv", "Одеса", "Kharkiv", "Дніпро"};

struct Contact {
    std::string first_name, last_name, email, phone, key, external, town, street, time_zone;
    std::string channels, fields, groups;  // JSON lists, without the brackets
    int channel_count = 0, field_count = 0, group_count = 0;
};

void add(std::string& list, int& count, const std::string& element) {
    list += (count++ == 0 ? "" : ",") + element;
}

Contact make(std::uint32_t number) {
    Contact out;
    const auto text = std::to_string(number);
    const auto kind = number % 16;
    out.first_name = first_names[number % 8];
    out.last_name = kind == 3 ? "O\"Brien\\\n🙂" : "Surname" + text;
    out.email =
        kind == 5 ? ""
                  : (kind == 7 ? "MiXeD." : "contact.") + text + "@mail" + std::to_string(number % 7) + ".example.com";
    out.phone = kind % 3 == 0 ? "" : "38050" + std::to_string(1'000'000 + number % 9'000'000);
    out.key = "key-" + text;
    out.external = kind == 9 ? "" : "crm-" + text;
    out.town = towns[number % 5];
    out.street = "Sample street " + std::to_string(number % 200);
    out.time_zone = kind == 11 ? "" : "Europe/Kiev";
    if (!out.email.empty()) {
        add(out.channels, out.channel_count, R"({"type":"email","value":)" + json_string(out.email) + "}");
    }
    if (!out.phone.empty()) {
        add(out.channels, out.channel_count, R"({"type":"sms","value":")" + out.phone + "\"}");
    }
    if (kind == 2) {  // a second address: the first one counts
        add(out.channels, out.channel_count, R"({"type":"email","value":"second@example.com"})");
    }
    for (int i = 0; i < static_cast<int>(number % 3); ++i) {
        add(out.fields, out.field_count, R"({"id":)" + std::to_string(104827 + i) + R"(,"value":"v)" + text + "\"}");
    }
    for (int i = 0; i < static_cast<int>(number % 2) + 1; ++i) {
        add(out.groups, out.group_count, R"({"id":)" + std::to_string(7000 + i) + R"(,"name":"Група","type":"Static"})"
        );
    }
    return out;
}

std::string as_list(const std::string& inside) {
    return "[" + inside + "]";
}

void append_text(std::string& out, std::string_view name, const std::string& value) {
    if (!value.empty()) {
        out += ",\"";
        out += name;
        out += "\":";
        append_json_string(out, value);
    }
}

void append_elements(std::string& out, std::string_view name, const std::string& inside, int count) {
    if (count > 0) {
        out += ",\"";
        out += name;
        out += "\":";
        out += count == 1 ? inside : as_list(inside);
    }
}

std::string text_or_null(const std::string& value) {
    return value.empty() ? "null" : json_string(value);
}

}  // namespace

std::int64_t contact_id(std::uint32_t number) {
    return 100'000'000 + std::int64_t{3} * number;
}

void append_contact(std::string& out, std::uint32_t number) {
    const auto contact = make(number);
    // A quoted id now and then.
    const auto id = std::to_string(contact_id(number));
    out += number % 16 == 4 ? "{\"id\":\"" + id + "\"" : "{\"id\":" + id;
    append_text(out, "firstName", contact.first_name);
    append_text(out, "lastName", contact.last_name);
    append_elements(out, "channels", contact.channels, contact.channel_count);
    if (number % 16 != 6) {
        out += R"(,"address":{"region":"","town":)";
        append_json_string(out, contact.town);
        append_text(out, "address", contact.street);
        out += R"(,"postcode":null})";
    }
    append_elements(out, "fields", contact.fields, contact.field_count);
    out += R"(,"addressBookId":1001)";
    append_text(out, "contactKey", contact.key);
    append_text(out, "externalCustomerId", contact.external);
    append_elements(out, "groups", contact.groups, contact.group_count);
    out += R"(,"ordersInfo":{"count":0,"sum":12.50})";
    append_text(out, "timeZone", contact.time_zone);
    out += '}';
}

void append_row(std::string& out, std::uint32_t number) {
    const auto contact = make(number);
    const bool address = number % 16 != 6;
    const auto list = [&](std::string_view name, const std::string& inside, int count) {
        out += ",\"" + std::string(name) + "\":" + (count == 0 ? "null" : as_list(inside));
    };
    const auto text = [&](std::string_view name, const std::string& value) {
        out += ",\"" + std::string(name) + "\":" + text_or_null(value);
    };
    out += "{\"id\":" + std::to_string(contact_id(number));
    text("first_name", contact.first_name);
    text("last_name", contact.last_name);
    text("email", contact.email);
    text("phone", contact.phone);
    text("contact_key", contact.key);
    text("external_customer_id", contact.external);
    out += ",\"address_book_id\":1001";
    out += address ? ",\"region\":\"\"" : ",\"region\":null";
    text("town", address ? contact.town : "");
    text("address", address ? contact.street : "");
    text("postcode", "");
    text("language_code", "");
    text("time_zone", contact.time_zone);
    list("channels", contact.channels, contact.channel_count);
    list("fields", contact.fields, contact.field_count);
    list("groups", contact.groups, contact.group_count);
    out += '}';
}

}  // namespace headrace::support::yespo
