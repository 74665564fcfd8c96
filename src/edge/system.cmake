# Included by src/edge/CMakeLists.txt behind its targets.
target_sources(pfuse_edge_files PRIVATE ${CMAKE_CURRENT_LIST_DIR}/system.c ${CMAKE_CURRENT_LIST_DIR}/ledger_list.c)
