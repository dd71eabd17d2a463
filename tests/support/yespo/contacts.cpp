#include "support/yespo/contacts.hpp"

#include "base/json_text.hpp"

#include <charconv>
#include <iterator>
#include <string_view>
#include <utility>

namespace headrace::support::yespo {
namespace {

constexpr std::string_view first_names[] = {"Олена", "Andrii", "Ірина", "Zoë", "Taras", "София", "Yurii", "Kateryna"};
constexpr std::string_view towns[] = {"Київ", "Lviv", "Одеса", "Kharkiv", "Дніпро"};

struct Contact {
    std::string first_name, last_name, email, phone, key, external, town, street, time_zone;
    std::string channels, fields, groups;  // JSON lists, without the brackets
    int channel_count = 0, field_count = 0, group_count = 0;
};

std::string& operator<<(std::string& out, std::string_view text) {
    return out.append(text);
}

std::string& operator<<(std::string& out, std::uint32_t number) {
    char digits[16];
    return out.append(digits, std::to_chars(digits, std::end(digits), number).ptr);
}

// The beginning of the next element.
std::string& element(std::string& list, int& count) {
    return list << (count++ == 0 ? "" : ",");
}

// Into strings that have their memory already: the simulator must not be what a benchmark waits for.
void make(std::uint32_t number, Contact& out) {
    for (auto* text :
         {&out.first_name,
          &out.last_name,
          &out.email,
          &out.phone,
          &out.key,
          &out.external,
          &out.town,
          &out.street,
          &out.time_zone,
          &out.channels,
          &out.fields,
          &out.groups}) {
        text->clear();
    }
    out.channel_count = out.field_count = out.group_count = 0;
    const auto kind = number % 16;
    out.first_name << first_names[number % 8];
    if (kind == 3) {
        out.last_name << "O\"Brien\\\n🙂";
    } else {
        out.last_name << "Surname" << number;
    }
    if (kind != 5) {
        out.email << (kind == 7 ? "MiXeD." : "contact.") << number << "@mail" << number % 7 << ".example.com";
        element(out.channels, out.channel_count) << R"({"type":"email","value":")" << out.email << "\"}";
    }
    if (kind % 3 != 0) {
        out.phone << "38050" << 1'000'000 + number % 9'000'000;
        element(out.channels, out.channel_count) << R"({"type":"sms","value":")" << out.phone << "\"}";
    }
    if (kind == 2) {  // a second address: the first one counts
        element(out.channels, out.channel_count) << R"({"type":"email","value":"second@example.com"})";
    }
    out.key << "key-" << number;
    if (kind != 9) {
        out.external << "crm-" << number;
    }
    out.town << towns[number % 5];
    out.street << "Sample street " << number % 200;
    out.time_zone << (kind == 11 ? "" : "Europe/Kiev");
    for (std::uint32_t i = 0; i < number % 3; ++i) {
        element(out.fields, out.field_count) << R"({"id":)" << 104827 + i << R"(,"value":"v)" << number << "\"}";
    }
    for (std::uint32_t i = 0; i < number % 2 + 1; ++i) {
        element(out.groups, out.group_count) << R"({"id":)" << 7000 + i << R"(,"name":"Група","type":"Static"})";
    }
}

std::string as_list(const std::string& inside) {
    return "[" + inside + "]";
}

void append_text(std::string& out, std::string_view name, const std::string& value) {
    if (!value.empty()) {
        out << ",\"" << name << "\":";
        append_json_string(out, value);
    }
}

void append_elements(std::string& out, std::string_view name, const std::string& inside, int count) {
    if (count > 0) {
        out << ",\"" << name << "\":" << (count == 1 ? "" : "[") << inside << (count == 1 ? "" : "]");
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
    thread_local Contact contact;
    make(number, contact);
    // A quoted id now and then.
    const std::string_view quote = number % 16 == 4 ? "\"" : "";
    out << R"({"id":)" << quote << static_cast<std::uint32_t>(contact_id(number)) << quote;
    append_text(out, "firstName", contact.first_name);
    append_text(out, "lastName", contact.last_name);
    append_elements(out, "channels", contact.channels, contact.channel_count);
    if (number % 16 != 6) {
        out << R"(,"address":{"region":"","town":")" << contact.town << "\"";
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

std::shared_ptr<const ContactTexts::Block> ContactTexts::block(std::uint32_t index) {
    constexpr std::size_t most_blocks = 1000;
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(index);
    if (found != blocks_.end() || blocks_.size() >= most_blocks) {
        return found != blocks_.end() ? found->second : nullptr;
    }
    auto fresh = std::make_shared<Block>();
    for (std::uint32_t i = 0; i < block_size; ++i) {
        append_contact(fresh->text, index * block_size + i);
        fresh->ends[i] = fresh->text.size();
    }
    return blocks_[index] = std::move(fresh);
}

void ContactTexts::append(std::string& out, std::span<const std::uint32_t> numbers) {
    std::shared_ptr<const Block> kept;
    std::uint32_t index = ~std::uint32_t{0};
    bool first = true;
    for (const auto number : numbers) {
        out += std::exchange(first, false) ? "" : ",";
        if (const auto wanted = number / block_size; index != wanted) {
            kept = block(index = wanted);
        }
        if (!kept) {
            append_contact(out, number);
            continue;
        }
        const auto at = number % block_size;
        const auto begin = at == 0 ? 0 : kept->ends[at - 1];
        out.append(kept->text, begin, kept->ends[at] - begin);
    }
}

void append_row(std::string& out, std::uint32_t number) {
    Contact contact;
    make(number, contact);
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
