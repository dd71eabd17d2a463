// Contacts that the simulator gives, about 490 bytes each. Everything follows from the number, and every member but the
// id is missing in some of them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

namespace headrace::support::yespo {

std::int64_t contact_id(std::uint32_t number);

// As Yespo writes it: lists of one element are that element.
void append_contact(std::string& out, std::uint32_t number);

// Keeps the texts of contacts that were asked for once, up to half a gigabyte: a simulator shares the cores with what
// is measured. Thread-safe.
class ContactTexts {
public:
    // With commas between them.
    void append(std::string& out, std::span<const std::uint32_t> numbers);

private:
    static constexpr std::uint32_t block_size = 1000;  // contacts

    struct Block {
        std::string text;
        std::array<std::size_t, block_size> ends;
    };

    std::shared_ptr<const Block> block(std::uint32_t index);  // nullptr: no more room

    std::mutex mutex_;
    std::map<std::uint32_t, std::shared_ptr<const Block>> blocks_;
};

// The row that headrace makes of it, with all columns, as its JSON encoder writes it.
void append_row(std::string& out, std::uint32_t number);

}  // namespace headrace::support::yespo
