#include "data/schema.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace headrace::data {
namespace {

constexpr std::array<std::pair<Kind, std::string_view>, 11> names{
    {{Kind::boolean, "boolean"},
     {Kind::int64, "int64"},
     {Kind::uint64, "uint64"},
     {Kind::float64, "float64"},
     {Kind::decimal, "decimal"},
     {Kind::string, "string"},
     {Kind::bytes, "bytes"},
     {Kind::date, "date"},
     {Kind::time, "time"},
     {Kind::timestamp, "timestamp"},
     {Kind::json, "json"}}};

// FNV-1a, 64 bits: a fingerprint, not a defence.
class Fingerprint {
public:
    void add(std::string_view bytes) {
        for (const char c : bytes) {
            add_byte(static_cast<unsigned char>(c));
        }
        add_byte(0xff);  // ends a part: no UTF-8 text holds it
    }

    void add_byte(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }

    std::string hex() const {
        static constexpr char digits[] = "0123456789abcdef";
        std::string out(16, '0');
        for (std::size_t i = 0; i < 16; ++i) {
            out[i] = digits[(value_ >> (60 - 4 * i)) & 15];
        }
        return out;
    }

private:
    std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

// "12, 2" → 12 and 2.
bool parse_precision(std::string_view text, Field& field) {
    unsigned values[2] = {0, 0};
    for (std::size_t i = 0; i < 2; ++i) {
        while (!text.empty() && text.front() == ' ') {
            text.remove_prefix(1);
        }
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), values[i]);
        if (error != std::errc() || values[i] > 255) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        while (!text.empty() && text.front() == ' ') {
            text.remove_prefix(1);
        }
        if (text.empty() || i == 1) {
            break;
        }
        if (text.front() != ',') {
            return false;
        }
        text.remove_prefix(1);
    }
    field.precision = static_cast<std::uint8_t>(values[0]);
    field.scale = static_cast<std::uint8_t>(values[1]);
    return text.empty() && values[0] > 0 && values[1] <= values[0];
}

}  // namespace

std::string_view to_string(Kind kind) {
    for (const auto& [k, name] : names) {
        if (k == kind) {
            return name;
        }
    }
    return "string";
}

std::optional<Kind> parse_kind(std::string_view text) {
    for (const auto& [kind, name] : names) {
        if (name == text) {
            return kind;
        }
    }
    return std::nullopt;
}

std::optional<Field> parse_type(std::string_view text) {
    Field field;
    field.nullable = true;
    if (text.ends_with('!')) {
        field.nullable = false;
        text.remove_suffix(1);
    }
    if (const auto open = text.find('('); open != std::string_view::npos) {
        if (!text.ends_with(')') || !parse_precision(text.substr(open + 1, text.size() - open - 2), field)) {
            return std::nullopt;
        }
        text = text.substr(0, open);
    }
    const auto kind = parse_kind(text);
    if (!kind || (field.precision != 0 && *kind != Kind::decimal)) {
        return std::nullopt;
    }
    field.kind = *kind;
    return field;
}

std::string type_text(const Field& field) {
    std::string out(to_string(field.kind));
    if (field.kind == Kind::decimal && field.precision != 0) {
        out += '(' + std::to_string(field.precision) + ',' + std::to_string(field.scale) + ')';
    }
    return field.nullable ? out : out + '!';
}

std::optional<std::size_t> Schema::index_of(std::string_view name) const {
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i].name == name) {
            return i;
        }
    }
    return std::nullopt;
}

std::string Schema::hash() const {
    Fingerprint print;
    for (const auto& field : fields) {
        print.add(field.name);
        print.add(to_string(field.kind));
        print.add_byte(field.nullable ? 1 : 0);
        if (field.kind == Kind::decimal) {
            print.add_byte(field.precision);
            print.add_byte(field.scale);
        }
    }
    return print.hex();
}

}  // namespace headrace::data
