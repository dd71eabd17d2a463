#include "pipeline/yaml.hpp"

#include "base/json_text.hpp"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace headrace::pipeline::yaml {
namespace {

constexpr std::size_t max_depth = 32;
constexpr std::size_t max_values = 20'000;
constexpr std::size_t max_expanded = 4 * max_text;  // bytes of scalars once aliases are resolved

// Thrown inside this file only, to leave yaml-cpp early.
struct Refused {
    Mark mark;
    std::string message;
};

// The first byte that no pipeline file needs, or npos.
std::size_t first_bad_byte(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
            return i;
        }
    }
    return std::string_view::npos;
}

// Turns yaml-cpp's places (0-based, columns in bytes) into ours.
class Places {
public:
    Places(std::string_view text, int document) : text_(text), document_(document) {
        starts_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') {
                starts_.push_back(i + 1);
            }
        }
    }

    std::string_view line(int number) const {
        if (number < 0 || static_cast<std::size_t>(number) >= starts_.size()) {
            return {};
        }
        const auto from = starts_[static_cast<std::size_t>(number)];
        return text_.substr(from, text_.find('\n', from) - from);
    }

    Mark mark(const YAML::Mark& place) const {
        if (place.is_null()) {
            return {1, 1, document_};
        }
        const auto before = line(place.line).substr(0, static_cast<std::size_t>(std::max(place.column, 0)));
        const auto characters = std::count_if(before.begin(), before.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        });
        return {place.line + 1, static_cast<int>(characters) + 1, document_};
    }

private:
    std::string_view text_;
    std::vector<std::size_t> starts_;
    int document_;
};

class Builder : public YAML::EventHandler {
public:
    Builder(const Places& places, Document& out) : places_(places), out_(out) {}

    // yaml-cpp 0.7 answers a comma in the place of a document with empty documents for ever: the second one ends the
    // parse.
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ == 2) {
            const auto line = places_.line(mark.line);
            const auto at = line.find_first_not_of(' ', static_cast<std::size_t>(std::max(mark.column, 0)));
            const bool comma = at < line.size() && line[at] == ',';
            throw Refused{
                places_.mark(mark),
                comma ? "not valid YAML: this comma stands between no values"
                      : "one file holds one document; a second one starts here"};
        }
    }

    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        Node node = make(Node::Type::null, mark);
        spend(node, node.mark);
        finish(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto known = anchors_.find(anchor);
        if (known == anchors_.end()) {
            fault(places_.mark(mark), "this alias points to a value that contains it");
            finish(make(Node::Type::null, mark), 0);
            return;
        }
        Node copy = known->second;
        count(copy, places_.mark(mark));
        finish(std::move(copy), 0);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value)
        override {
        Node node = make(Node::Type::scalar, mark);
        node.plain = tag == "?" || tag.empty();
        node.text = value;
        check_tag(tag, node.mark);
        if (first_bad_byte(value) != std::string_view::npos || !is_utf8(value)) {  // an escape such as "\e" or "\0"
            fault(node.mark, "control characters are not allowed, not even escaped");
            node.text.clear();
        }
        spend(node, node.mark);
        finish(std::move(node), anchor);
    }

    void OnSequenceStart(
        const YAML::Mark& mark,
        const std::string& tag,
        YAML::anchor_t anchor,
        YAML::EmitterStyle::value /*style*/
    ) override {
        open(Node::Type::list, mark, tag, anchor);
    }

    void OnSequenceEnd() override { close(); }

    void OnMapStart(
        const YAML::Mark& mark,
        const std::string& tag,
        YAML::anchor_t anchor,
        YAML::EmitterStyle::value /*style*/
    ) override {
        open(Node::Type::map, mark, tag, anchor);
    }

    void OnMapEnd() override { close(); }

private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor = 0;
        bool has_key = false;  // map: a key was read, its value comes next
        bool drop = false;     // map: that value is not kept
        std::string key;
        Mark key_mark;
    };

    Node make(Node::Type type, const YAML::Mark& mark) const {
        Node node;
        node.type = type;
        node.mark = places_.mark(mark);
        return node;
    }

    void fault(Mark mark, std::string message) { out_.faults.push_back({mark, std::move(message)}); }

    void check_tag(const std::string& tag, Mark mark) {
        if (tag.size() > 1 && tag != "tag:yaml.org,2002:str") {
            fault(mark, "tags (words that begin with `!`) are not used here");
        }
    }

    // Aliases may repeat a value many times; the budget keeps a small file from becoming a huge tree.
    void spend(const Node& node, Mark mark) {
        bytes_ += node.text.size();
        if (++values_ > max_values || bytes_ > max_expanded) {
            throw Refused{mark, "the file holds too many values"};
        }
    }

    void count(const Node& node, Mark mark) {
        spend(node, mark);
        for (const auto& item : node.items) {
            count(item, mark);
        }
        for (const auto& entry : node.entries) {
            bytes_ += entry.key.size();
            count(entry.value, mark);
        }
    }

    void open(Node::Type type, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        Frame frame;
        frame.node = make(type, mark);
        frame.anchor = anchor;
        check_tag(tag, frame.node.mark);
        spend(frame.node, frame.node.mark);
        if (stack_.size() >= max_depth) {
            throw Refused{frame.node.mark, fmt::format("values are nested more than {} levels deep", max_depth)};
        }
        stack_.push_back(std::move(frame));
    }

    void close() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        finish(std::move(frame.node), frame.anchor);
    }

    void finish(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) {
            anchors_[anchor] = node;
        }
        if (stack_.empty()) {
            out_.root = std::move(node);
        } else if (stack_.back().node.is_list()) {
            stack_.back().node.items.push_back(std::move(node));
        } else if (stack_.back().has_key) {
            take_value(stack_.back(), std::move(node));
        } else {
            take_key(stack_.back(), std::move(node));
        }
    }

    void take_key(Frame& map, Node node) {
        map.has_key = true;
        map.drop = true;
        map.key = node.text;
        map.key_mark = node.mark;
        if (!node.is_scalar()) {
            fault(node.mark, "a key must be one word");
        } else if (node.text == "<<") {
            fault(node.mark, "merge keys (`<<`) are not used here; shared values belong in _defaults.yaml");
        } else if (const auto* first = map.node.entry(node.text); first != nullptr) {
            fault(
                node.mark, fmt::format("`{}` is written twice; the first is on line {}", node.text, first->mark.line)
            );
        } else {
            map.drop = false;
        }
    }

    static void take_value(Frame& map, Node node) {
        map.has_key = false;
        if (!map.drop) {
            map.node.entries.push_back({std::move(map.key), map.key_mark, std::move(node)});
        }
    }

    const Places& places_;
    Document& out_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, Node> anchors_;  // finished ones
    int documents_ = 0;
    std::size_t values_ = 0;
    std::size_t bytes_ = 0;
};

// yaml-cpp's sentence, with what usually is behind it.
std::string explain(const YAML::Exception& error, const Places& places) {
    for (const int number : {error.mark.line, error.mark.line - 1}) {
        const auto line = places.line(number);
        const auto indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
        if (indent.find('\t') != std::string_view::npos) {
            return fmt::format("not valid YAML: line {} is indented with a tab; use spaces", number + 1);
        }
    }
    std::string more;
    if (error.msg == "illegal map value") {
        more = "; a text with `: ` in it needs quotes";
    } else if (error.msg.find("end of map not found") == 0 || error.msg.find("end of sequence not found") == 0) {
        more = "; is this line indented like its neighbours?";
    }
    return fmt::format("not valid YAML: {}{}", error.msg, more);
}

}  // namespace

const Entry* Node::entry(std::string_view key) const {
    const auto it = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
    return it == entries.end() ? nullptr : &*it;
}

const Node* Node::find(std::string_view key) const {
    const auto* found = entry(key);
    return found == nullptr ? nullptr : &found->value;
}

Document load(std::string_view text, int document) {
    Document out;
    out.root.mark.document = document;
    const Mark start{1, 1, document};
    if (text.size() > max_text) {
        out.faults.push_back({start, fmt::format("the file is larger than {} KiB", max_text / 1024)});
        return out;
    }
    if (!is_utf8(text)) {
        out.faults.push_back({start, "the file is not UTF-8 text"});
        return out;
    }
    if (const auto bad = first_bad_byte(text); bad != std::string_view::npos) {
        const auto line =
            static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'));
        out.faults.push_back({{line + 1, 1, document}, "there is a control character in this line"});
        return out;
    }
    const Places places(text, document);
    try {
        std::istringstream in{std::string(text)};
        YAML::Parser parser(in);
        Builder builder(places, out);
        while (parser.HandleNextDocument(builder)) {
        }
    } catch (const Refused& e) {
        out.faults.push_back({e.mark, e.message});
    } catch (const YAML::Exception& e) {
        out.faults.push_back({places.mark(e.mark), explain(e, places)});
    }
    return out;
}

}  // namespace headrace::pipeline::yaml
