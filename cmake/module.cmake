# headrace_module(NAME DEPS a b LIBS x y): one static library headrace_NAME from src/NAME/**.cpp.
# main.cpp belongs to the executable, *_module.cpp to a module that is loaded on demand. CONFIGURE_DEPENDS keeps the file
# list honest without editing this file.
function(headrace_module NAME)
    cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "(/main|_module)\\.cpp$")
    if(NOT sources)
        add_library(headrace_${NAME} INTERFACE)
        set(scope INTERFACE)
    else()
        add_library(headrace_${NAME} STATIC ${sources})
        set(scope PUBLIC)
    endif()
    target_include_directories(headrace_${NAME} ${scope} $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src> $<INSTALL_INTERFACE:include/headrace>)
    foreach(dep IN LISTS ARG_DEPS)
        if(dep)
            target_link_libraries(headrace_${NAME} ${scope} headrace_${dep})
        endif()
    endforeach()
    target_link_libraries(headrace_${NAME} ${scope} ${ARG_LIBS})
    set_property(GLOBAL APPEND PROPERTY HEADRACE_MODULES "${NAME}")
endfunction()

# headrace_embed(NAME NAMESPACE ns GLOB pattern TARGET lib [MODE bullmq]): files as string constants,
# reachable through src/base/embedded.hpp. MODE bullmq takes the resolved Lua out of npm bullmq's script files.
function(headrace_embed NAME)
    cmake_parse_arguments(ARG "" "NAMESPACE;GLOB;TARGET;MODE" "" ${ARGN})
    file(GLOB inputs CONFIGURE_DEPENDS ${ARG_GLOB})
    if(NOT inputs)
        message(FATAL_ERROR "nothing matches ${ARG_GLOB}: run scripts/install-deps first")
    endif()
    set(out ${CMAKE_BINARY_DIR}/embedded/${NAME}.cpp)
    set(list ${CMAKE_BINARY_DIR}/embedded/${NAME}.list)
    string(REPLACE ";" "\n" lines "${inputs}")
    file(WRITE ${list} "${lines}\n")
    add_custom_command(OUTPUT ${out}
        COMMAND headrace_embed ${out} ${ARG_NAMESPACE} "${ARG_MODE}" ${list}
        DEPENDS headrace_embed ${inputs} ${list} VERBATIM)
    target_sources(${ARG_TARGET} PRIVATE ${out})
endfunction()
