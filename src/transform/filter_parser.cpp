#include "transform/filter_parser.hpp"

#include "transform/support.hpp"

#include <fmt/core.h>

#include <cctype>

namespace headrace::transform {
namespace {

constexpr int most_levels = 64;
constexpr std::size_t most_text = 16 * 1024;

struct Token {
    enum class Type { name, number, text, symbol, end };
    Type type = Type::end;
    std::string text;
    bool quoted = false;  // a name in quotes is never a word of the language
    std::size_t at = 0;
};

bool is_word_character(char c) {
    const auto u = static_cast<unsigned char>(c);
    return std::isalnum(u) != 0 || c == '_' || c == '.' || u >= 0x80;
}

class Lexer {
public:
    Lexer(std::string_view text, const pipeline::Place& place) : text_(text), place_(place) {}

    Token next() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
            ++at_;
        }
        Token out;
        out.at = at_;
        if (at_ == text_.size()) {
            return out;
        }
        const char c = text_[at_];
        if (c == '\'' || c == '`' || c == '"') {
            out.type = c == '\'' ? Token::Type::text : Token::Type::name;
            out.quoted = true;
            out.text = quoted(c);
        } else if (std::isdigit(static_cast<unsigned char>(c)) != 0 || (is_sign(c) && follows_digit())) {
            out.type = Token::Type::number;
            out.text = number();
        } else if (is_word_character(c)) {
            out.type = Token::Type::name;
            const std::size_t from = at_;
            while (at_ < text_.size() && is_word_character(text_[at_])) {
                ++at_;
            }
            out.text = text_.substr(from, at_ - from);
        } else {
            out.type = Token::Type::symbol;
            out.text = symbol();
        }
        return out;
    }

    [[noreturn]] void refuse(std::size_t at, std::string_view message) const {
        invalid(place_, fmt::format("filter `{}`, at character {}: {}", text_.substr(0, 200), at + 1, message));
    }

private:
    static bool is_sign(char c) { return c == '-' || c == '+'; }

    bool follows_digit() const {
        return at_ + 1 < text_.size() &&
               (std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) != 0 || text_[at_ + 1] == '.');
    }

    std::string quoted(char quote) {
        std::string out;
        for (++at_; at_ < text_.size(); ++at_) {
            if (text_[at_] != quote) {
                out += text_[at_];
            } else if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
                out += text_[++at_];
            } else {
                ++at_;
                return out;
            }
        }
        refuse(text_.size(), fmt::format("a {} is missing", quote));
    }

    std::string number() {
        const std::size_t from = at_++;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            const bool exponent_sign = is_sign(c) && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E');
            if (!is_word_character(c) && !exponent_sign) {
                break;
            }
            ++at_;
        }
        return std::string(text_.substr(from, at_ - from));
    }

    std::string symbol() {
        for (const std::string_view two : {"==", "!=", "<>", "<=", ">="}) {
            if (text_.substr(at_, 2) == two) {
                at_ += 2;
                return std::string(two);
            }
        }
        return std::string(1, text_[at_++]);
    }

    std::string_view text_;
    const pipeline::Place& place_;
    std::size_t at_ = 0;
};

class Parser {
public:
    Parser(std::string_view text, const pipeline::Place& place) : lexer_(text, place), token_(lexer_.next()) {}

    std::unique_ptr<Expression> whole() {
        auto out = either(0);
        if (token_.type != Token::Type::end) {
            expected("and, or, or the end");
        }
        return out;
    }

private:
    using Result = std::unique_ptr<Expression>;

    [[noreturn]] void expected(std::string_view what) const {
        lexer_.refuse(
            token_.at,
            token_.type == Token::Type::end ? fmt::format("{} is missing", what)
                                            : fmt::format("expected {}, found `{}`", what, token_.text)
        );
    }

    void advance() { token_ = lexer_.next(); }

    bool is_word(std::string_view word) const {
        if (token_.type != Token::Type::name || token_.quoted || token_.text.size() != word.size()) {
            return false;
        }
        for (std::size_t i = 0; i < word.size(); ++i) {
            if (std::tolower(static_cast<unsigned char>(token_.text[i])) != word[i]) {
                return false;
            }
        }
        return true;
    }

    bool take_word(std::string_view word) {
        if (!is_word(word)) {
            return false;
        }
        advance();
        return true;
    }

    bool take_symbol(std::string_view symbol) {
        if (token_.type != Token::Type::symbol || token_.text != symbol) {
            return false;
        }
        advance();
        return true;
    }

    static Result join(Expression::Type type, Result a, Result b) {
        auto out = std::make_unique<Expression>();
        out->type = type;
        out->parts.push_back(std::move(a));
        if (b) {
            out->parts.push_back(std::move(b));
        }
        return out;
    }

    // `joined` also bounds the depth of "a and b and c …", which leans to the left.
    Result either(int level) {
        auto out = both(level);
        for (int joined = level; take_word("or");) {
            check_level(++joined);
            out = join(Expression::Type::either, std::move(out), both(level));
        }
        return out;
    }

    Result both(int level) {
        auto out = negated(level);
        for (int joined = level; take_word("and");) {
            check_level(++joined);
            out = join(Expression::Type::both, std::move(out), negated(level));
        }
        return out;
    }

    Result negated(int level) {
        check_level(level);
        if (take_word("not")) {
            return join(Expression::Type::negated, negated(level + 1), nullptr);
        }
        if (take_symbol("(")) {
            auto out = either(level + 1);
            if (!take_symbol(")")) {
                expected(")");
            }
            return out;
        }
        return comparison();
    }

    void check_level(int level) const {
        if (level > most_levels) {
            lexer_.refuse(token_.at, "too many levels");
        }
    }

    Result comparison() {
        auto out = std::make_unique<Expression>();
        if (is_literal()) {
            lexer_.refuse(token_.at, "a comparison begins with a column");
        }
        out->column = column();
        if (take_word("is")) {
            return null_test(std::move(out));
        }
        if (is_word("in")) {
            return list(std::move(out));
        }
        if (is_word("not")) {
            advance();
            if (!is_word("in")) {
                expected("in");
            }
            return join(Expression::Type::negated, list(std::move(out)), nullptr);
        }
        if (token_.type != Token::Type::symbol || token_.text == ")") {
            return out;  // a boolean column alone
        }
        out->op = op();
        if (is_literal()) {
            out->type = Expression::Type::compare_value;
            out->literals.push_back(literal());
        } else {
            out->type = Expression::Type::compare_column;
            out->other = column();
        }
        return out;
    }

    Result null_test(Result out) {
        const bool negative = take_word("not");
        if (!take_word("null")) {
            expected("null");
        }
        out->type = Expression::Type::is_null;
        return negative ? join(Expression::Type::negated, std::move(out), nullptr) : std::move(out);
    }

    Result list(Result out) {
        advance();
        out->type = Expression::Type::in_list;
        if (!take_symbol("(")) {
            expected("(");
        }
        do {
            if (!is_literal()) {
                expected("a value");
            }
            out->literals.push_back(literal());
        } while (take_symbol(","));
        if (!take_symbol(")")) {
            expected(")");
        }
        return out;
    }

    bool is_literal() const {
        return token_.type == Token::Type::number || token_.type == Token::Type::text || is_word("true") ||
               is_word("false");
    }

    Literal literal() {
        Literal out;
        out.type = token_.type == Token::Type::number ? Literal::Type::number
                   : token_.type == Token::Type::text ? Literal::Type::text
                                                      : Literal::Type::boolean;
        out.text = out.type == Literal::Type::boolean ? (is_word("true") ? "true" : "false") : token_.text;
        advance();
        return out;
    }

    std::string column() {
        if (is_word("null")) {
            lexer_.refuse(token_.at, "nothing is equal to null: write `is null` or `is not null`");
        }
        if (token_.type != Token::Type::name || is_word("and") || is_word("or") || is_word("in") || is_word("is")) {
            expected("a column");
        }
        auto name = std::move(token_.text);
        advance();
        return name;
    }

    Op op() {
        constexpr std::pair<std::string_view, Op> ops[] = {
            {"=", Op::equal},
            {"==", Op::equal},
            {"!=", Op::unequal},
            {"<>", Op::unequal},
            {"<", Op::less},
            {"<=", Op::less_equal},
            {">", Op::greater},
            {">=", Op::greater_equal}};
        for (const auto& [symbol, op] : ops) {
            if (take_symbol(symbol)) {
                return op;
            }
        }
        expected("a comparison (=, !=, <, <=, >, >=, is null, in)");
    }

    Lexer lexer_;
    Token token_;
};

}  // namespace

std::unique_ptr<Expression> parse_filter(std::string_view text, const pipeline::Place& place) {
    if (text.size() > most_text) {
        invalid(place, "the filter is longer than 16 KiB");
    }
    return Parser(text, place).whole();
}

}  // namespace headrace::transform
